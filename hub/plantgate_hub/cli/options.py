"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ..config import DEFAULT_PATH

Config = Annotated[Path, typer.Option("--config", help="The hub's configuration file.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
As = Annotated[
    str,
    typer.Option("--as", metavar="EMAIL", help="Act as this person, with their permissions (default: the console)."),
]

DEFAULT_CONFIG = DEFAULT_PATH
