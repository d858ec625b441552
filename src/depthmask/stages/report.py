"""report: the page and what to type next; it closes `make repro`.

`--markdown` prints the comparison for a job summary, and `--picture FILE` joins the winner's
panel and the plots into one image.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depthmask.config import read_params
from depthmask.data.scenes.files import read_array, read_json, replaced_file
from depthmask.data.scenes.library import Frames
from depthmask.errors import InputError, exit_on_error
from depthmask.metrics import METRICS
from depthmask.stages import BEST, PARAMS, RECORD
from depthmask.stages import METRICS as METRICS_PATH
from depthmask.tracking.gate import Judgement, read_record
from depthmask.tracking.provenance import commit_date, git_commit
from depthmask.visualization.numbers import known, written
from depthmask.visualization.page import Gate, write_page
from depthmask.visualization.run_files import baselines_of, compared, figures_of

COLUMNS = tuple(
    METRICS[name] for name in ("mask_iou", "depth_delta1", "depth_abs_rel", "depth_rmse")
)
MADE = (
    ("models/best/model.onnx", "the best network: uint8 in, mask and depth out"),
    ("reports/report.html", "the whole story on one page: open it in a browser"),
    ("reports/metrics.json", "every figure, by experiment and test set"),
    ("reports/plots", "the pictures of the report"),
    ("data/prepared/contact_sheet.png", "the rooms and people it was trained on"),
)


def write_report(root: Path = Path()) -> Path:
    """Write `reports/report.html` where it is not of these very files; returns its path.

    Raises:
        InputError: if there are no figures yet, or a file is damaged.
    """
    judgement = read_judgement(root)
    gate = Gate(not judgement.misses, judgement.lines()) if judgement else None
    return write_page(root, code=f"{git_commit(root)} {commit_date(root)}".strip(), gate=gate)


def read_metrics(root: Path) -> dict[str, Any]:
    """Read `reports/metrics.json`; InputError if it is missing or damaged."""
    path = root / METRICS_PATH
    if not path.is_file():
        raise InputError(f"{path} is missing: run `make repro` first")
    return read_json(path, ("best", "experiments", "headline"))


def rows_of(metrics: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every experiment in the order of the comparison, then the baselines: name and cells."""
    for name in (*compared(metrics), *baselines_of(metrics)):
        figures = figures_of(metrics, name, metrics["headline"]["set"])
        yield name, [written(figures.get(column.name), column.decimals) for column in COLUMNS]


def write_example(prepared: Path, folder: Path) -> tuple[Path, Path] | None:
    """Write the in-scene frame with the largest person and its plate as PNG, to predict on.

    Returns:
        The plate's path and the frame's, or None where there is no prepared data.
    """
    try:
        frames = Frames.read(prepared, "in_scene")
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
        return read_record(root / RECORD, root / BEST / "model.onnx", root / METRICS_PATH, gate)
    except InputError:
        return None


def next_commands(root: Path, judged: bool) -> Iterator[tuple[str, str]]:
    """Commands that work now, each with what it is for.

    Args:
        judged: whether the gate has spoken of the model.
    """
    yield "make ui", "the experiments in MLflow"
    yield "make repro", "after a change in params.yaml: runs what it affects, nothing else"
    if (root / BEST / "model.onnx").exists():
        yield ". .venv/bin/activate", "puts depthmask and dvc on the PATH of this shell"
        if not judged:
            yield "depthmask gate", "whether this model, which DVC restored, may be the champion"
        if example := write_example(root / "data/prepared", root / "predictions"):
            bg, bg_fg = (path.relative_to(root) for path in example)
            yield (
                f"depthmask predict --bg {bg} --scene {bg_fg} --out predictions",
                "mask and distance of the person in a frame",
            )


def print_summary(root: Path, console: Console) -> None:
    """Print the comparison, what the run left in `root`, and what to type next."""
    metrics = read_metrics(root)
    table = Table(title="People and rooms never seen", title_justify="left")
    table.add_column("experiment", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right", no_wrap=True)
    num_trained = len(metrics["experiments"])
    for number, (name, cells) in enumerate(rows_of(metrics), start=1):
        is_best = name == metrics["best"]
        style = "bold green" if is_best else "dim" if number > num_trained else None
        label = escape(name) + " (best)" * is_best
        table.add_row(label, *cells, style=style, end_section=number == num_trained)
    console.print(table)
    if sentence := metrics.get("verdict", {}).get("sentence"):
        console.print(f"\n{escape(sentence)}", highlight=False)
    judgement = read_judgement(root)
    if judgement is not None:
        console.print("\n[bold]Gate[/bold]")
        style = "red" if judgement.misses else "green"
        for line in judgement.lines():
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


def markdown(metrics: dict[str, Any]) -> str:
    """The verdict, the comparison as a table and, for GitHub to draw, as a Mermaid bar chart."""
    titles = ["experiment", *(column.title for column in COLUMNS)]
    sentence = metrics.get("verdict", {}).get("sentence")
    lines = [sentence, ""] if sentence else []
    lines += [f"| {' | '.join(titles)} |", "|---|" + "---:|" * len(COLUMNS)]
    bars: dict[str, str] = {}
    for name, cells in rows_of(metrics):
        emphasis = (
            "**" if name == metrics["best"] else "" if name in metrics["experiments"] else "_"
        )
        lines.append(f"| {' | '.join([f'{emphasis}{name}{emphasis}', *cells])} |")
        value = known(figures_of(metrics, name, metrics["headline"]["set"]).get("mask_iou"))
        bars |= {} if value is None else {name: f"{value:.3f}"}
    if bars:
        names = ", ".join(f'"{name}"' for name in bars)
        lines += [
            "",
            "```mermaid",
            "xychart-beta horizontal",
            '    title "mask IoU on the hardest test set"',
            f"    x-axis [{names}]",
            '    y-axis "mask IoU" 0 --> 1',
            f"    bar [{', '.join(bars.values())}]",
            "```",
        ]
    return "\n".join(lines)


def write_picture(root: Path, best: str, target: Path) -> None:
    """Stack the best experiment's panel and the plots, centred on white, into one PNG.

    Raises:
        InputError: if there is no picture to stack.
    """
    panel = root / f"reports/panels/{best}.png"
    paths = [panel, *sorted((root / "reports/plots").glob("*.png"))]
    images = [Image.open(path).convert("RGBA") for path in paths if path.exists()]
    if not images:
        raise InputError(f"{panel} is missing: run `dvc repro evaluate` first")
    width = max(image.width for image in images)
    sheet = Image.new("RGB", (width, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, ((width - image.width) // 2, top), image)
        top += image.height
    with replaced_file(target) as temporary:
        sheet.save(temporary, format="PNG")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run in the project's folder; exit code 2 and one line where nothing was made yet."""
    parser = argparse.ArgumentParser(prog="python -m depthmask.stages.report", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the comparison as Markdown")
    parser.add_argument("--picture", type=Path, help="write panel and plots into one PNG")
    options = parser.parse_args(arguments)
    root = Path()
    metrics = read_metrics(root)
    if options.picture:
        write_picture(root, metrics["best"], options.picture)
    if options.markdown:
        print(markdown(metrics))
    if not (options.picture or options.markdown):
        write_report(root)
        print_summary(root, Console())


if __name__ == "__main__":
    with exit_on_error():
        main()
