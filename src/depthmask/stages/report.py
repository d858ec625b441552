"""report: the page, a summary in the terminal and what to type next; it closes `make repro`."""

import math
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depthmask.config.reading import read_params
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.library import Frames, Library
from depthmask.errors import InputError, exit_on_error
from depthmask.metrics import METRICS
from depthmask.stages import BEST, PARAMS, RECORD
from depthmask.stages import METRICS as METRICS_PATH
from depthmask.tracking.gate import Judgement, read_record
from depthmask.tracking.provenance import git_commit
from depthmask.visualization.page import STATS, write_page
from depthmask.visualization.results import Results

COLUMNS = [METRICS[name] for name in STATS[:4]]
MADE = {
    "models/best/model.onnx": "the best network: uint8 in, mask and depth out",
    "reports/report.html": "the whole story on one page: open it in a browser",
    "reports/metrics.json": "every figure, by experiment and test set",
    "reports/plots": "the pictures of the report",
    "data/prepared/contact_sheet.png": "the rooms and people it was trained on",
}


def write_report(root: Path = Path()) -> Path:
    """Write `reports/report.html`; InputError without figures or of a damaged file."""
    return write_page(root, code=git_commit(root), gate=read_judgement(root))


def write_example(prepared: Path, folder: Path) -> tuple[Path, Path] | None:
    """Write the plate and the in-scene frame with the largest person, in this order, as PNG that
    tell the lens, to predict on; None where there is no prepared data."""
    try:
        library, frames = Library.read(prepared), Frames.read(prepared, "in_scene")
    except InputError:
        return None
    index = int(frames.mask.mean(axis=(1, 2)).argmax())
    plate = frames.table.plate.iloc[index]
    exif = Image.Exif()
    film = round(library.plates.focal[plate] * math.hypot(36, 24) / math.sqrt(2))
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FocalLengthIn35mmFilm: film}
    paths = folder / "example_bg.png", folder / "example_bg_fg.png"
    for image, path in zip((library.images[plate], frames.bg_fg[index]), paths, strict=True):
        with replaced_file(path) as temporary:
            Image.fromarray(image).save(temporary, format="PNG", exif=exif)
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


def print_summary(root: Path, console: Console) -> None:
    """Print the comparison, what the run left in `root`, and what to type next."""
    results = Results.read(root)
    table = Table(title="People and rooms never seen", title_justify="left")
    table.add_column("experiment", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right", no_wrap=True)
    for name in (*results.experiments, *results.baselines):
        is_best, trained = name == results.best, name in results.experiments
        table.add_row(
            escape(name) + " (best)" * is_best,
            *(results.figure(name, results.headline, column).text for column in COLUMNS),
            style="bold green" if is_best else None if trained else "dim",
            end_section=name == results.experiments[-1],
        )
    console.print(table)
    console.print(f"\n{escape(results.verdict.get('sentence', ''))}", highlight=False)
    if judgement := read_judgement(root):
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


def main() -> None:
    """Run in the project's folder; InputError where nothing was made yet."""
    if not METRICS_PATH.is_file():
        raise InputError(f"{METRICS_PATH} is missing: run `make repro` first")
    write_report()
    print_summary(Path(), Console())


if __name__ == "__main__":
    with exit_on_error():
        main()
