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
from depthmask.visualization.page import write_page
from depthmask.visualization.results import (
    METRICS_KEYS,
    baselines_of,
    compared,
    figure_of,
    results_table,
)

COLUMNS = tuple(
    METRICS[name] for name in ("mask_iou", "depth_delta1", "depth_abs_rel", "depth_rmse")
)
MADE = {
    "models/best/model.onnx": "the best network: uint8 in, mask and depth out",
    "reports/report.html": "the whole story on one page: open it in a browser",
    "reports/metrics.json": "every figure, by experiment and test set",
    "reports/plots": "the pictures of the report",
    "data/prepared/contact_sheet.png": "the rooms and people it was trained on",
}


def write_report(root: Path = Path()) -> Path:
    """Write `reports/report.html`; returns its path.

    Raises:
        InputError: if there are no figures yet, or a file is damaged.
    """
    code = f"{git_commit(root)} {commit_date(root)}".strip()
    return write_page(root, code=code, gate=read_judgement(root))


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
    """Commands that work now, each with what it is for; `judged`: whether the gate has spoken."""
    yield "make ui", "the experiments in MLflow"
    yield "make repro", "after a change in params.yaml: runs what it affects, nothing else"
    if (root / BEST / "model.onnx").exists():
        yield ". .venv/bin/activate", "puts depthmask and dvc on the PATH of this shell"
        if not judged:
            yield "depthmask gate", "whether this model, which DVC restored, may be the champion"
        if example := write_example(root / "data/prepared", root / "predictions"):
            bg, bg_fg = (path.relative_to(root) for path in example)
            command = f"depthmask predict --bg {bg} --scene {bg_fg} --out predictions"
            yield command, "mask and distance of the person in a frame"


def print_summary(root: Path, metrics: dict[str, Any], console: Console) -> None:
    """Print the comparison, what the run left in `root`, and what to type next."""
    table = Table(title="People and rooms never seen", title_justify="left")
    table.add_column("experiment", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right", no_wrap=True)
    trained = compared(metrics)
    for name in (*trained, *baselines_of(metrics)):
        head, is_best = metrics["headline"]["set"], name == metrics["best"]
        table.add_row(
            escape(name) + " (best)" * is_best,
            *(figure_of(metrics, name, head, column).text for column in COLUMNS),
            style="bold green" if is_best else None if name in trained else "dim",
            end_section=name == trained[-1],
        )
    console.print(table)
    if sentence := metrics.get("verdict", {}).get("sentence"):
        console.print(f"\n{escape(sentence)}", highlight=False)
    judgement = read_judgement(root)
    if judgement is not None:
        console.print("\n[bold]Gate[/bold]")
        style = "red" if judgement.misses else "green"
        for line in judgement.lines():
            console.print(f"  {escape(line)}", style=style, soft_wrap=True, highlight=False)
    made = [(path, about) for path, about in MADE.items() if (root / path).exists()]
    for title, pairs in (("Made", made), ("Next", list(next_commands(root, bool(judgement))))):
        console.print(f"\n[bold]{title}[/bold]")
        width = max(len(left) for left, _ in pairs if len(left) < 50)
        for left, right in pairs:  # each on a line of its own that can be copied whole
            gap = " " * (width - len(left) + 2) if len(left) <= width else "\n    "
            words = f"  [cyan]{escape(left)}[/cyan]{gap}{escape(right)}"
            console.print(words, soft_wrap=True, highlight=False)


def markdown(metrics: dict[str, Any]) -> str:
    """The table of results and, for GitHub to draw, a Mermaid bar chart."""
    head = metrics["headline"]["set"]
    names = [*compared(metrics), *baselines_of(metrics)]
    figures = {name: figure_of(metrics, name, head, METRICS["mask_iou"]) for name in names}
    bars = {name: figure.number for name, figure in figures.items() if figure.number is not None}
    labels = ", ".join(f'"{name}"' for name in bars)
    return f"""{results_table(metrics)}
```mermaid
xychart-beta horizontal
    title "mask IoU on the hardest test set"
    x-axis [{labels}]
    y-axis "mask IoU" 0 --> 1
    bar [{", ".join(f"{value:.3f}" for value in bars.values())}]
```"""


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
    if not METRICS_PATH.is_file():
        raise InputError(f"{METRICS_PATH} is missing: run `make repro` first")
    metrics = read_json(METRICS_PATH, METRICS_KEYS)
    if options.picture:
        write_picture(Path(), metrics["best"], options.picture)
    if options.markdown:
        print(markdown(metrics))
    if not (options.picture or options.markdown):
        write_report()
        print_summary(Path(), metrics, Console())


if __name__ == "__main__":
    with exit_on_error():
        main()
