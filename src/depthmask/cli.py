"""The command line: `depthmask VERB …`. A verb imports what it needs when it runs."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import depthmask
from depthmask.errors import InputError, exit_on_error

MODEL = Path("models/best/model.onnx")
SIZES = ("128x128", "480x640", "1080x1920")
JPEG_QUALITY = 90

app = typer.Typer(
    help="A person's mask and the scene's depth from a clean plate and a frame.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class SetName(StrEnum):
    """`train`, or one of `depthmask.scene.COMPOSED_SETS`."""

    train = "train"
    val = "val"
    seen_seen = "seen_seen"
    seen_unseen = "seen_unseen"
    unseen_seen = "unseen_seen"
    unseen_unseen = "unseen_unseen"


ModelOption = Annotated[Path, typer.Option("--model", help="An ONNX file that depthmask made.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto takes CUDA where it works.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Of the CPU; by default one a core.")
]


def main() -> None:
    """Run the command line; what the user can mend ends in one line and exit code 2."""
    with exit_on_error():
        app(prog_name="depthmask")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"depthmask {depthmask.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """A person's mask and the scene's depth from a clean plate and a frame."""


@app.command()
def predict(
    bg: Annotated[Path, typer.Option("--bg", help="The plate: the room with nobody in it.")],
    scene: Annotated[
        list[Path],
        typer.Option("--scene", help="A frame, or a folder of frames; may be given again."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")] = Path(
        "predictions"
    ),
    model: ModelOption = MODEL,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
) -> None:
    """Find the person in frames: writes STEM_mask.png, _depth.png (mm), _overlay.png, STEM.json."""
    from depthmask.prediction import describe, list_scenes, predict_files
    from depthmask.predictor import Predictor

    scenes = list_scenes(scene)
    predictor = Predictor(model, device=device.value, num_threads=threads)
    frames = predict_files(predictor, bg, scenes, out)
    for line in describe(frames):
        typer.echo(line)
    for frame in frames:
        if frame.warning:
            typer.echo(f"{frame.scene.name}: warning: {frame.warning}", err=True)
    num_files = sum(len(frame.files) for frame in frames)
    typer.echo(
        f"Wrote {num_files} files to {out} ({predictor.device}); look at {_overlays(frames)}"
    )


def _overlays(frames: list) -> str:
    first = frames[0].files[2]
    return str(first) if len(frames) == 1 else f"{first.with_name('*_overlay.png')}"


@app.command()
def bench(
    model: ModelOption = MODEL,
    device: DeviceOption = Device.auto,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", help=f"HEIGHTxWIDTH; may be given again. [{', '.join(SIZES)}]"),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Timed calls a size.")] = 20,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images in one call.")] = 1,
    threads: ThreadsOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Measure latency and images per second on this machine."""
    from depthmask.benchmark import (
        latency_report,
        latency_table,
        measure_latency,
        processor_name,
        write_latency,
    )
    from depthmask.predictor import Predictor

    sizes = [parse_size(text) for text in size or SIZES]
    predictor = Predictor(model, device=device.value, num_threads=threads)
    latencies = measure_latency(predictor, sizes, num_runs=runs, batch=batch)
    where = processor_name() if predictor.device == "cpu" else "CUDA"
    typer.echo(f"{model} on {where}, network at {predictor.training_size} px, {runs} warm runs")
    for line in latency_table(latencies):
        typer.echo(line)
    if json_path is not None:
        write_latency(json_path, latency_report(predictor, latencies))
        typer.echo(f"Wrote {json_path}")


def parse_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH as (height, width), px.

    Raises:
        InputError: it is not of that form.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise InputError(f"--size {text} is no size: write HEIGHTxWIDTH, such as 480x640")
    return int(match[1]), int(match[2])


@app.command()
def materialise(
    out: Annotated[Path, typer.Option("--out", help="The folder to write to, or to go on with.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Scenes, of 4 images each.")],
    set_name: Annotated[SetName, typer.Option("--set", help="Which scenes.")] = SetName.train,
    size: Annotated[
        int | None, typer.Option("--size", help="Side of the images, px. [prepare.size]")
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Paste, and vary nothing else, as the original did: one file a plate.",
        ),
    ] = False,
    exact_depth: Annotated[
        bool, typer.Option("--exact-depth", help="Also depth_mm/: 16 bit PNG, millimetres.")
    ] = False,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Of the JPEGs.")
    ] = JPEG_QUALITY,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; by default one a core.")
    ] = None,
) -> None:
    """Write composed scenes as files, in the original data set's layout, for other tools."""
    from rich.console import Console

    from depthmask.materialise import materialise, plain_shots, rich_table
    from depthmask.params import read_params
    from depthmask.stages import AUGMENTED, PARAMS, PREPARED

    params = read_params(PARAMS)
    done = materialise(
        out,
        prepared=PREPARED,
        augmented=None if plain else AUGMENTED,
        set_name=set_name.value,
        count=count,
        size=params.prepare.size if size is None else size,
        placement=params.placement,
        compositor_params=plain_shots(params.compositor) if plain else params.compositor,
        nobody=0.0 if plain else params.train.nobody,
        depth_range_m=params.train.depth_range_m,
        quality=quality,
        exact_depth=exact_depth,
        num_workers=workers,
    )
    Console().print(rich_table(done.statistics))
    if done.num_new_scenes:
        typer.echo(
            f"Wrote {done.num_new_scenes:,} scenes, {done.num_new_files:,} files,"
            f" in {done.seconds:.1f} s: {done.num_new_scenes / done.seconds:.0f} scenes/s,"
            f" {done.num_new_files / done.seconds:.0f} images/s"
        )
    else:
        typer.echo("All of them were there already")
    typer.echo(f"Look at {out / 'contact_sheet.png'} and {out / 'dataset.md'}")


@app.command()
def doctor(model: ModelOption = MODEL) -> None:
    """Say what this environment can do; exit code 1 if prediction cannot work."""
    from depthmask.doctor import examine

    marks = {"ok": "ok  ", "warning": "WARN", "problem": "FAIL"}
    broken = False
    for finding in examine(model):
        typer.echo(f"{marks[finding.level]}  {finding.subject:<14} {finding.text}")
        broken |= finding.level == "problem"
    if broken:
        raise typer.Exit(1)


@app.command("import-runs")
def import_runs(
    folder: Annotated[Path, typer.Argument(help="Journals written where MLflow was not there.")],
) -> None:
    """Import runs that were tracked into files, on a machine without MLflow."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the one with the journals")
    from depthmask.tracking import import_journals

    imported = import_journals(folder)
    for name in imported:
        typer.echo(name)
    typer.echo(f"Imported {len(imported)} runs; look at them with `make ui`")


if __name__ == "__main__":
    main()
