"""The command line: `depthmask VERB …`. A verb imports what it needs when it runs."""

from typing import Annotated

import typer

import depthmask
from depthmask.cli import predict, predicting, serving, training
from depthmask.errors import exit_on_error

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


app.add_typer(predict.app)
app.add_typer(predicting.app)
app.add_typer(serving.app)
app.add_typer(training.app)
