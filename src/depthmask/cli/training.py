"""Verbs of whoever trains: init, materialise, profile, lr-find, gate, report, import-runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from depthmask.errors import InputError

# `train`, or one of `depthmask.data.scenes.scene.COMPOSED_SETS`
SetName = Literal["train", "val", "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen"]

app = typer.Typer()


@app.command()
def init(
    source: Annotated[Literal["photos"], typer.Argument(help="Of which kind.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
) -> None:
    """Make a folder for your own photographs, with a guide that says what to put where."""
    from depthmask.data.sources.photos.folder import init_photos

    guide = init_photos(folder)
    typer.echo(f"Read {guide}, put your pictures beside it, set prepare.source to {source}")


@app.command()
def materialise(
    out: Annotated[Path, typer.Option(help="The folder to write to, or to go on with.")],
    count: Annotated[int, typer.Option(min=1, max=10**7, help="Scenes, of 4 images each.")],
    set_name: Annotated[SetName, typer.Option("--set", help="Which scenes.")] = "train",
    size: Annotated[int | None, typer.Option(help="Side of the images, px. [prepare.size]")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Paste, and vary nothing else: one file a plate.")
    ] = False,
    exact_depth: Annotated[
        bool, typer.Option("--exact-depth", help="Also depth_mm/: 16 bit PNG, millimetres.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [one a core]")] = None,
) -> None:
    """Write composed scenes as files, in the original data set's layout, for other tools."""
    from depthmask.config.reading import read_params
    from depthmask.data.materialise import materialise, plain_shots
    from depthmask.data.materialise.writing import Encoding
    from depthmask.stages import AUGMENTED, PARAMS, PREPARED

    params = read_params(PARAMS)
    scenes, seconds = materialise(
        out,
        prepared=PREPARED,
        augmented=None if plain else AUGMENTED,
        set_name=set_name,
        count=count,
        size=params.prepare.size if size is None else size,
        placement=params.placement,
        compositor_params=plain_shots(params.compositor) if plain else params.compositor,
        nobody=0.0 if plain or set_name != "train" else params.train.nobody,
        encoding=Encoding(params.train.depth_range_m, exact_depth),
        num_workers=workers,
    )
    typer.echo(f"Wrote {scenes:,} scenes in {seconds:.1f} s; the others were there already")
    typer.echo(f"Look at {out}/contact_sheet.png and {out}/statistics.json")


@app.command()
def profile(
    name: Annotated[str | None, typer.Argument(help="A profile of params.yaml.")] = None,
) -> None:
    """Put a profile in force in params.yaml, or list them; `dvc repro` then runs it."""
    from depthmask.config.reading import read_profiles, with_profile
    from depthmask.data.scenes.files import replaced_file
    from depthmask.stages import PARAMS

    if name is None:
        content, profiles = read_profiles(PARAMS)
        current = content.get("profile")
        return typer.echo("\n".join(f"{' *'[known == current]} {known}" for known in profiles))
    text, params = with_profile(PARAMS, name)
    with replaced_file(PARAMS.resolve()) as temporary:  # a link stays one
        temporary.write_bytes(text.encode())
    typer.echo(f"profile {name}: {', '.join(params.compare)}; run it with `dvc repro`")


@app.command("lr-find")
def lr_find(
    name: Annotated[str, typer.Argument(help="An experiment of params.yaml.")],
    min_lr: Annotated[float, typer.Option(help="Where it begins.")] = 1e-5,
    max_lr: Annotated[float, typer.Option(help="Where it ends.")] = 1.0,
    steps: Annotated[int, typer.Option(min=20, help="How many batches.")] = 100,
) -> None:
    """Test a range of learning rates on an experiment: a plot and a suggestion."""
    from depthmask.config import Composition, named_experiment
    from depthmask.models.hardware import choose_hardware
    from depthmask.stages import AUGMENTED, PREPARED, REPORTS, read_params
    from depthmask.training.lr_finder import find_rate
    from depthmask.training.module import build_module
    from depthmask.training.scene_data import assemble_data

    params = read_params()
    experiment, train = named_experiment(params, name), params.train
    side, out = train.schedule[0].size, REPORTS / "lr_find" / f"{name}.png"
    hardware = choose_hardware(train.device, train.precision)
    variants = AUGMENTED if experiment.augmented else None
    composition = Composition(params.placement, params.compositor)
    data = assemble_data(train, composition, prepared=PREPARED, augmented=variants)
    data.sizes = [side]
    module = build_module(experiment, train, prepared=PREPARED, augmented=AUGMENTED)
    typer.echo(f"{name}: {steps} steps of {train.batch_size} at {side} px on {hardware}")
    rates = {"min_lr": min_lr, "max_lr": max_lr}
    suggested = find_rate(module, data, out, hardware=hardware, num_steps=steps, **rates)
    found = f"the loss falls steepest at {suggested:.2g}; train.optimizer.lr is"
    typer.echo(f"{found} {train.optimizer.lr:g}\nWrote {out}")


@app.command()
def gate(
    promote: Annotated[
        bool, typer.Option("--promote", help="Register it in MLflow: champion if it passes.")
    ] = False,
) -> None:
    """Say whether the exported model passes `export.gate`; exit code 1 if it does not."""
    from depthmask.config.reading import read_params
    from depthmask.stages import BEST, METRICS, PARAMS, RECORD
    from depthmask.tracking.gate import judge, read_record

    thresholds, model = read_params(PARAMS).export.gate, BEST / "model.onnx"
    judgement = None if promote else read_record(RECORD, model, METRICS, thresholds)
    if promote:
        from depthmask.stages.export import publish

        judgement = publish(thresholds)
    elif judgement is None:  # DVC restored the model, or something changed: export did not say
        from depthmask.export.benchmark import measure_latency
        from depthmask.inference.predictor import Predictor

        predictor = Predictor(model)
        median_ms = measure_latency(predictor, [2 * (predictor.training_size,)])[0].median_ms
        judgement = judge(model, predictor.metadata, METRICS, thresholds, median_ms)
    if judgement.misses:
        typer.echo("\n".join(f"depthmask: {line}" for line in judgement.lines()), err=True)
        raise typer.Exit(1)
    typer.echo("\n".join((*judgement.lines(), judgement.passed_words())))


@app.command()
def report() -> None:
    """Write reports/report.html anew from the files of the last run; it opens without a network."""
    from depthmask.stages.report import write_report

    path = write_report()
    typer.echo(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command("import-runs")
def import_runs(
    folder: Annotated[Path, typer.Argument(help="Where what offline.sh packed was unpacked.")],
) -> None:
    """Bring runs that were trained without MLflow into it; a second call changes nothing."""
    from depthmask.stages import EXPERIMENTS, REPORTS
    from depthmask.tracking.sync import sync

    if not (folder / EXPERIMENTS).is_dir():
        raise InputError(f"{folder} has no {EXPERIMENTS}: unpack runs.tar.gz there")
    if (names := sync(folder / EXPERIMENTS, folder / REPORTS)) is None:
        raise InputError("nothing imported: see the line above, then run it again")
    typer.echo("\n".join((*names, f"Imported {len(names)} runs; look at them with `make ui`")))
