"""Verbs of whoever uses a model: plate, calibrate, bench, doctor, evaluate-footage."""

import itertools
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from depthmask.cli.options import MODEL, DeviceOption, FovOption, ModelOption
from depthmask.errors import InputError

TEACHER_PX = 518  # of the shorter side: what Depth Anything V2 was trained at
MOST_PX = 2**26  # in one call: some 7 GB
SIZES = ["128x128", "480x640", "1080x1920"]
AT = typer.Option(
    metavar="X,Y=METRES",
    help="A pixel and its distance along the camera's axis; may be given again.",
)

app = typer.Typer()


@app.command()
def plate(
    bg: Annotated[Path, typer.Option(help="The plate: the room with nobody in it.")],
    out: Annotated[Path, typer.Option(help="The file to write: 16-bit PNG, millimetres.")],
    model: ModelOption = MODEL,
    teacher: Annotated[
        Path | None,
        typer.Option(help="In place of the model: ONNX with Depth Anything V2's contract."),
    ] = None,
    at: Annotated[list[str] | None, AT] = None,
    device: DeviceOption = "auto",
    fov: FovOption = None,
) -> None:
    """Make a plate's depth once, for `predict --plate-depth`; `calibrate` fits it to distances."""
    from depthmask.data.scenes.images import read_fov, read_rgb
    from depthmask.inference import calibration
    from depthmask.inference.predictor import Predictor

    image, points = read_rgb(bg), [calibration.parse_point(text) for text in at or ()]
    if teacher is not None:
        import cv2

        from depthmask.data.sources.photos.pictures import Teacher

        inverse = Teacher(teacher, TEACHER_PX, cache=Path()).ask(image)
        depth = calibration.from_inverse(cv2.resize(inverse, image.shape[1::-1]), points)
    elif points:
        raise InputError("--at belongs to --teacher here: fit the network's depth by `calibrate`")
    else:
        predictor = Predictor(model, device=device)
        if fov is None and predictor.depth_unit == "metre":
            fov = read_fov(bg, image.shape)
        depth = calibration.from_network(predictor, image, fov)
    calibration.write_depth(out, depth)
    typer.echo(f"Wrote {out}: measure a few distances and give them to `depthmask calibrate {out}`")


@app.command()
def calibrate(
    depth: Annotated[Path, typer.Argument(help="A plate's depth, 16 bits in mm or floats in m.")],
    at: Annotated[list[str], AT],
    out: Annotated[
        Path | None, typer.Option(help="By default DEPTH_calibrated.png, beside DEPTH.")
    ] = None,
) -> None:
    """Fit a plate's depth to measured distances where that helps; prints the errors."""
    from depthmask.data.scenes.images import read_depth
    from depthmask.inference import calibration

    points, values = [calibration.parse_point(text) for text in at], read_depth(depth)
    fit = calibration.calibrate(values, points)
    typer.echo(calibration.describe(values, points, fit))
    out = out or depth.with_name(f"{depth.stem}_calibrated.png")
    calibration.write_depth(out, fit.apply(values))
    typer.echo(f"Wrote {out}")


@app.command()
def bench(
    model: Annotated[
        list[Path],
        typer.Option(help="An ONNX file, or export's folder: all of it; may be given again."),
    ] = [MODEL],  # noqa: B006
    device: DeviceOption = "auto",
    size: Annotated[list[str], typer.Option(help="HEIGHTxWIDTH; may be given again.")] = SIZES,
    runs: Annotated[int, typer.Option(min=1, help="Timed calls a size.")] = 20,
    batch: Annotated[
        list[int], typer.Option(min=1, help="Images in one call; may be given again.")
    ] = [1],  # noqa: B006
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=256, help="Of the CPU, by default one a core; may be given again."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Also draw them, as PNG; needs the extra `pipeline`.")
    ] = None,
) -> None:
    """Measure on this machine what a call takes, beside eager PyTorch where it is installed, and
    each part of `predict`."""
    from depthmask.export import benchmark
    from depthmask.inference.predictor import Predictor

    sizes = [parse_size(text) for text in dict.fromkeys(size)]
    for option, path in (("--json", json_path), ("--chart", chart)):
        if path is not None and (path.is_dir() or not path.name):
            raise InputError(f"{option} {path} is a folder: name a file in it")
        if path is not None and path.exists() and not path.is_file():
            raise InputError(f"{option} {path} is a pipe or a device: name a file")
    if chart is not None and chart.suffix != ".png":
        raise InputError(f"--chart {chart}: name a .png file")
    if chart is not None and not find_spec("altair"):
        raise InputError("--chart needs altair: install the extra `pipeline`")
    if max(batch) * max(height * width for height, width in sizes) > MOST_PX:
        raise InputError(f"--batch {max(batch)} of that size takes gigabytes: give a smaller one")
    chosen = Predictor(model[0], device=device)
    files = [file for path in model for file in sorted(path.glob("model*.onnx")) or [path]]
    rows = []
    for num_threads in threads or (None,):
        predictors = [Predictor(file, device=device, num_threads=num_threads) for file in files]
        for predictor, each in itertools.product(predictors, batch):
            rows += benchmark.measure_latency(predictor, sizes, num_runs=runs, batch=each)
        if find_spec("lightning") and (folder := _trained(chosen.metadata)).is_dir():
            rows += [
                benchmark.measure_eager(folder, num_runs=runs, batch=each, num_threads=num_threads)
                for each in batch
            ]
    machine = benchmark.processor_name()
    typer.echo(f"{machine}, network at {chosen.training_size} px, {runs} warm runs")
    typer.echo(benchmark.describe(rows))
    parts = sum((benchmark.measure_parts(chosen, each, num_runs=runs) for each in sizes), [])
    typer.echo(f"A picture through {chosen.path}, one at a time:\n{benchmark.describe(parts)}")
    if json_path is not None:
        benchmark.write_latency(json_path, chosen, rows, parts)
        typer.echo(f"Wrote {json_path}")
    if chart is not None:
        benchmark.latency_chart(chart, rows)
        typer.echo(f"Wrote {chart}")


def _trained(about: dict[str, str]) -> Path:
    """Where the network lies that a file was made of."""
    from depthmask.models.store import seed_folder
    from depthmask.stages import EXPERIMENTS

    return seed_folder(EXPERIMENTS / about["experiment"], int(about.get("seed", 0)))


def parse_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH as (height, width), px; raises InputError if it is not of that form."""
    if (match := re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)) is None:
        raise InputError(f"--size {text} is no size: write HEIGHTxWIDTH, such as 480x640")
    return int(match[1]), int(match[2])


@app.command()
def doctor(model: ModelOption = MODEL) -> None:
    """Say what this environment can do; exit code 1 if prediction cannot work."""
    from depthmask.cli.doctor import examine

    can_predict = True
    for subject, text, level in examine(model):
        mark = {"ok": "ok  ", "warning": "WARN", "problem": "FAIL"}[level]
        typer.echo(f"{mark}  {subject:<14} {text}")
        can_predict &= level != "problem"
    raise typer.Exit(0 if can_predict else 1)


@app.command()
def evaluate_footage(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="With input/, groundtruth/, or bg/, bg_fg/ and mask/."),
    ],
    bg: Annotated[
        Path | None, typer.Option(help="The plate of all; by default bg.* of each, or it is made.")
    ] = None,
    plate: Annotated[
        Literal["truth", "median"],
        typer.Option(help="Made as the median where the truth says nobody is, or of all frames."),
    ] = "truth",
    frames: Annotated[
        int, typer.Option(min=1, show_default="all", help="Of each sequence, evenly spread.")
    ] = 10**9,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of the difference; by default evaluate's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("reports/footage"),
    model: ModelOption = MODEL,
    device: DeviceOption = "auto",
) -> None:
    """Measure a model on footage with true masks, beside the difference threshold."""
    import pandas as pd

    from depthmask.data.scenes.files import read_json, replaced_file
    from depthmask.data.scenes.scene import spread
    from depthmask.data.work import progress
    from depthmask.evaluation import footage
    from depthmask.inference.predictor import Predictor
    from depthmask.stages import METRICS
    from depthmask.visualization.sheets import footage_sheet

    found = footage.find_footage(folder, bg)
    files = {file for each in found.values() for frame in each for file in frame} - {None, bg}
    homes = {file.parent.resolve() for file in files if file}
    if homes & {out.resolve(), *out.resolve().parents}:
        raise InputError(f"--out {out} lies among the footage's own files: name another folder")
    if threshold is None and METRICS.is_file():
        settings = read_json(METRICS, ["baseline_settings"])["baseline_settings"]
        threshold = settings["difference_threshold"]
    predictor = Predictor(model, device=device)
    judged = dict[str, list[footage.Frame]]()
    for name, each in found.items():
        with_truth = [frame for frame in each if frame.truth]
        judged[name] = [with_truth[place] for place in spread(len(with_truth), frames)]
    tables, views = {}, {}
    with progress(sum(map(len, judged.values())), "frames") as advance:
        for name, some in judged.items():
            made = None if all(f.bg for f in some) else footage.make_plate(found[name], plate)
            arguments = made, predictor.predict, threshold, advance
            tables[name], views[name] = footage.measure_footage(some, *arguments)
    rows = pd.concat(tables, names=["sequence"]).reset_index("sequence")
    summary = footage.summarise(rows)
    for name, table in (("footage", summary), ("frames", rows)):
        with replaced_file(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    about = "of each third of a sequence; IoU of the network, the threshold; grey is not judged"
    footage_sheet(out / "best_and_worst.png", views, subtitle=about)
    shown = summary.drop(columns="num_empty").round(3)
    typer.echo(shown.to_string(index=False, na_rep="-"))
    if threshold is None:
        typer.echo(f"No threshold beside it: {METRICS} is missing; give one with --threshold")
    typer.echo(f"Wrote footage.csv, frames.csv, best_and_worst.png to {out}")
