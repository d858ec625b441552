"""What a run made and what to type next; it closes `make repro`.

`--markdown` prints the comparison for a job summary, and `--picture FILE` joins the winner's
panel and the plots into one image.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depthmask.config import read_params
from depthmask.data.scenes.files import read_array, read_json, replaced_file
from depthmask.data.scenes.library import InSceneFrames
from depthmask.errors import InputError, exit_on_error
from depthmask.stages import BEST, METRICS, PARAMS, RECORD
from depthmask.tracking.gate import Judgement, read_record

COLUMNS = (
    ("mask IoU", "mask_iou", "{:.3f}"),
    ("depth δ1", "depth_delta1", "{:.3f}"),
    ("AbsRel", "depth_abs_rel", "{:.3f}"),
    ("RMSE", "depth_rmse", "{:.2f}"),
)
MADE = (
    ("models/best/model.onnx", "the best network: uint8 in, mask and depth out"),
    ("reports/report.html", "the whole story on one page: open it in a browser"),
    ("reports/metrics.json", "every figure, by experiment and test set"),
    ("reports/plots", "the pictures of the report"),
    ("data/prepared/contact_sheet.png", "the rooms and people it was trained on"),
)


@dataclass(frozen=True)
class Row:
    """One line of the comparison; `scores` are those of the hardest test set."""

    name: str
    is_best: bool
    is_baseline: bool
    scores: dict[str, float]

    def cells(self, missing: str = "–") -> list[str]:
        values = (self.scores.get(key) for _, key, _ in COLUMNS)
        return [
            missing if value is None else form.format(value)
            for value, (_, _, form) in zip(values, COLUMNS, strict=True)
        ]


def read_rows(path: Path) -> list[Row]:
    """Read `reports/metrics.json`: experiments first, the better mask IoU first, then baselines.

    Raises:
        InputError: if there is no report, or if the file is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        best = content["best"]
        groups = (content["experiments"], content.get("baselines", {}))
        headline = content.get("headline", {}).get("set", "in_scene")
        rows = [
            Row(name, not baseline and name == best, bool(baseline), dict(sets.get(headline, {})))
            for baseline, group in enumerate(groups)
            for name, sets in group.items()
        ]
        return sorted(rows, key=lambda row: (row.is_baseline, -row.scores.get("mask_iou", 0)))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run `make repro` first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no report of depthmask ({type(error).__name__}: {error}):"
            " run `dvc repro --force evaluate`"
        ) from None


def read_verdict(path: Path) -> str:
    """What may be said of the comparison in `reports/metrics.json`; empty in one of old."""
    return read_json(path).get("verdict", {}).get("sentence", "")


def write_example(prepared: Path, folder: Path) -> tuple[Path, Path] | None:
    """Write the in-scene frame with the largest person and its plate as PNG, to predict on.

    Returns:
        The plate's path and the frame's, or None where there is no prepared data.
    """
    try:
        frames = InSceneFrames.read(prepared)
        plates = read_array(prepared / "plates_image.npy")
    except InputError:
        return None
    index = int(frames.mask.mean(axis=(1, 2)).argmax())
    images = plates[frames.table.plate.iloc[index]], frames.bg_fg[index]
    paths = folder / "example_bg.png", folder / "example_bg_fg.png"
    for image, path in zip(images, paths, strict=True):
        with replaced_file(path) as temporary:
            Image.fromarray(image).save(temporary, format="PNG")
    return paths


def read_judgement(root: Path) -> Judgement | None:
    """What the gate said of the model that lies there; None if nobody has asked it, or no model."""
    try:
        gate = read_params(root / PARAMS).export.gate
        return read_record(root / RECORD, root / BEST / "model.onnx", root / METRICS, gate)
    except InputError:
        return None


def next_commands(root: Path, judged: bool) -> Iterator[tuple[str, str]]:
    """Yield commands that work now, each with what it is for.

    Args:
        judged: whether the gate has spoken of the model.
    """
    yield "make ui", "the experiments in MLflow"
    yield "make repro", "after a change in params.yaml: runs what it affects, nothing else"
    if (root / "models/best/model.onnx").exists():
        yield ". .venv/bin/activate", "puts depthmask and dvc on the PATH of this shell"
        if not judged:
            yield "depthmask gate", "whether this model, which DVC restored, may be the champion"
        example = write_example(root / "data/prepared", root / "predictions")
        if example is not None:
            bg, bg_fg = (path.relative_to(root) for path in example)
            yield (
                f"depthmask predict --bg {bg} --scene {bg_fg} --out predictions",
                "mask and distance of the person in a frame",
            )


def print_summary(root: Path, console: Console) -> None:
    """Print the comparison, what the run left in `root`, and what to type next."""
    rows = read_rows(root / "reports/metrics.json")
    table = Table(title="People and rooms never seen", title_justify="left")
    table.add_column("experiment", no_wrap=True)
    for title, _, _ in COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        style = "bold green" if row.is_best else "dim" if row.is_baseline else None
        table.add_row(
            escape(row.name) + (" (best)" if row.is_best else ""),
            *row.cells(),
            style=style,
            end_section=following is not None and following.is_baseline != row.is_baseline,
        )
    console.print(table)
    if verdict := read_verdict(root / "reports/metrics.json"):
        console.print(f"\n{escape(verdict)}", highlight=False)
    judgement = read_judgement(root)
    if judgement is not None:
        console.print("\n[bold]Gate[/bold]")
        for line in judgement.lines():
            style = "red" if judgement.misses else "green"
            console.print(f"  {escape(line)}", style=style, soft_wrap=True, highlight=False)
    _print_pairs(console, "Made", [pair for pair in MADE if (root / pair[0]).exists()])
    _print_pairs(console, "Next", list(next_commands(root, judgement is not None)))


def _print_pairs(console: Console, title: str, pairs: list[tuple[str, str]]) -> None:
    """Print what to type or open, each on a line of its own that can be copied whole."""
    console.print(f"\n[bold]{title}[/bold]")
    width = max((len(left) for left, _ in pairs if len(left) < 50), default=0)
    for left, right in pairs:
        gap = " " * (width - len(left) + 2) if len(left) <= width else "\n    "
        console.print(
            f"  [cyan]{escape(left)}[/cyan]{gap}{escape(right)}", soft_wrap=True, highlight=False
        )


def markdown(rows: Sequence[Row], verdict: str = "") -> str:
    """The verdict, the comparison as a table and, for GitHub to draw, as a Mermaid bar chart."""
    titles = ["experiment", *(title for title, _, _ in COLUMNS)]
    lines = [
        *([verdict, ""] if verdict else []),
        "| " + " | ".join(titles) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for row in rows:
        emphasis = "**" if row.is_best else "_" if row.is_baseline else ""
        lines.append("| " + " | ".join([f"{emphasis}{row.name}{emphasis}", *row.cells()]) + " |")
    with_mask = [row for row in rows if "mask_iou" in row.scores]
    names = ", ".join(f'"{row.name}"' for row in with_mask)
    values = ", ".join(f"{row.scores['mask_iou']:.3f}" for row in with_mask)
    chart = [
        "",
        "```mermaid",
        "xychart-beta horizontal",
        '    title "mask IoU on the hardest test set"',
        f"    x-axis [{names}]",
        '    y-axis "mask IoU" 0 --> 1',
        f"    bar [{values}]",
        "```",
    ]
    return "\n".join(lines + (chart if with_mask else []))


def write_picture(root: Path, best: str, target: Path) -> None:
    """Stack the best experiment's panel and the plots, centred on white, into one PNG.

    Raises:
        InputError: if there is no picture to stack.
    """
    panel = root / f"reports/panels/{best}.png"
    paths = [panel, *sorted((root / "reports/plots").glob("*.png"))]
    images = [Image.open(path).convert("RGB") for path in paths if path.exists()]
    if not images:
        raise InputError(f"{panel} is missing: run `dvc repro evaluate` first")
    width = max(image.width for image in images)
    sheet = Image.new("RGB", (width, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, ((width - image.width) // 2, top))
        top += image.height
    with replaced_file(target) as temporary:
        sheet.save(temporary, format="PNG")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run in the project's folder; exit code 2 and one line where nothing was made yet."""
    parser = argparse.ArgumentParser(
        prog="python -m depthmask.visualization.summary", description=__doc__
    )
    parser.add_argument("--markdown", action="store_true", help="print the comparison as Markdown")
    parser.add_argument("--picture", type=Path, help="write panel and plots into one PNG")
    options = parser.parse_args(arguments)
    with exit_on_error():
        root = Path()
        if options.markdown or options.picture:
            rows = read_rows(root / "reports/metrics.json")
            if options.picture:
                best = next((row.name for row in rows if row.is_best), "")
                write_picture(root, best, options.picture)
            if options.markdown:
                print(markdown(rows, read_verdict(root / "reports/metrics.json")))
        else:
            print_summary(root, Console())


if __name__ == "__main__":
    main()
