"""`plantgate-hub db`: the database's tables."""

import asyncio

import typer

from plantgate_shared.config import load

from ..config import HubConfig
from ..store import migrate
from ..store.engines import make_engine, parse_url, translated
from . import output
from .options import DEFAULT_CONFIG, Config, Json
from .owner import become_owner

app = typer.Typer(
    help="The database's tables. The hub also brings them up to date by itself at start.", no_args_is_help=True
)


@app.command()
def upgrade(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Bring the tables to what this release needs; harmless when they are."""
    output.show(asyncio.run(_tables(load(config, HubConfig), change=True)), json)


@app.command()
def status(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Which migration the database has, and which one this release needs."""
    output.show(asyncio.run(_tables(load(config, HubConfig), change=False)), json)


async def _tables(config: HubConfig, *, change: bool) -> dict[str, object]:
    url = parse_url(config.database.url)
    become_owner(url)
    engine = make_engine(url)
    try:
        with translated():
            if change:
                await migrate.upgrade(engine)
            present = await migrate.current(engine)
    finally:
        await engine.dispose()
    return {"database": url.render_as_string(hide_password=True), "migration": present, "newest": migrate.NEWEST}
