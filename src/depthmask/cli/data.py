"""Verbs about data: init, materialise."""

from pathlib import Path
from typing import Annotated, Literal

import typer

JPEG_QUALITY = 90

app = typer.Typer()
init_app = typer.Typer(
    help="Prepare a folder for your own data.", no_args_is_help=True, rich_markup_mode=None
)


# `train`, or one of `depthmask.data.scenes.scene.COMPOSED_SETS`
SetName = Literal["train", "val", "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen"]


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
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEGs.")] = JPEG_QUALITY,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
) -> None:
    """Write composed scenes as files, in the original data set's layout, for other tools."""
    from rich.console import Console

    from depthmask.config import read_params
    from depthmask.data.materialise import materialise, plain_shots, rich_table
    from depthmask.data.materialise.writing import Encoding
    from depthmask.stages import AUGMENTED, PARAMS, PREPARED
    from depthmask.tracking.provenance import code_hash

    params = read_params(PARAMS)
    done = materialise(
        out,
        prepared=PREPARED,
        augmented=None if plain else AUGMENTED,
        set_name=set_name,
        count=count,
        size=params.prepare.size if size is None else size,
        placement=params.placement,
        compositor_params=plain_shots(params.compositor) if plain else params.compositor,
        nobody=0.0 if plain or set_name != "train" else params.train.nobody,
        encoding=Encoding(quality, params.train.depth_range_m, exact_depth),
        code=code_hash(("data/composition", "data/materialise", "data/scenes")),
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


@init_app.callback()
def _init_options() -> None:
    """Prepare a folder for your own data."""


@init_app.command("photos")
def init_photos(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
) -> None:
    """Make a folder for your own photographs, with a guide that says what to put where."""
    from depthmask.data.sources.photos import folder as photos

    made = photos.init_photos(folder)
    for path in made:
        typer.echo(f"made {path}")
    if not made:
        typer.echo(f"{folder} is prepared already")
    typer.echo(f"Read {folder / photos.GUIDE}, put your pictures in, set prepare.source to photos")
