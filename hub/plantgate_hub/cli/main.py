"""Puts the commands together; errors become one line and an exit status."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from plantgate_shared.errors import PlantgateError

from .admin import app as admin
from .db import app as db
from .keys import app as keys
from .serve import register

app = typer.Typer(
    name="plantgate-hub",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(admin, name="admin")
app.add_typer(db, name="db")
app.add_typer(keys, name="keys")
register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"plantgate-hub {version('plantgate-hub')}")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Plantgate's hub: secure remote access to industrial plants."""


def main() -> None:
    try:
        app()
    except PlantgateError as error:
        print(f"plantgate-hub: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
