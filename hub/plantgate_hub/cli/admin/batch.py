"""`admin batch`: several admin commands in one run, for provisioning."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer

from plantgate_shared.errors import ConfigError, InvalidInput, PlantgateError

from .. import output
from ..options import DEFAULT_CONFIG, Config


def add_to(app: typer.Typer) -> None:
    @app.command("batch")
    def batch(
        file: Annotated[str, typer.Argument(metavar="FILE", help="The commands; '-' for standard input.")] = "-",
        config: Config = DEFAULT_CONFIG,
    ) -> None:
        """Run commands from a file: one a line, as it would stand after `admin`; `#` begins a comment.

        Each answers with one line of JSON. The first that fails ends the run; what was done before it stays done.
        """
        for number, words in _lines(file):
            if words[0] == "batch":
                raise InvalidInput(f"line {number}: a batch cannot run a batch")
            try:
                with output.collected() as answers:
                    app([*words, "--json", "--config", str(config)], standalone_mode=False)
            except PlantgateError as error:
                error.message = f"line {number} ({' '.join(words[:2])}): {error.message}"
                raise
            except Exception as error:
                if not hasattr(error, "format_message"):  # typer's own errors about usage have one
                    raise
                raise InvalidInput(f"line {number}: {error.format_message()}") from None
            print(json.dumps(answers[0] if answers else {}, ensure_ascii=False), flush=True)


def _lines(file: str) -> Iterator[tuple[int, list[str]]]:
    """Each line when it is there: a program may write one, read the answer, and write the next."""
    with _open(file) as text:
        for number, line in enumerate(iter(text.readline, ""), start=1):
            try:
                words = shlex.split(line, comments=True)
            except ValueError as error:
                raise InvalidInput(f"line {number}: {error}", hint="quote as in a shell") from None
            if words:
                yield number, words


def _open(file: str) -> AbstractContextManager[TextIO]:
    if file == "-":
        return nullcontext(sys.stdin)
    try:
        return Path(file).open(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the commands in {file}: {error.strerror}") from None
