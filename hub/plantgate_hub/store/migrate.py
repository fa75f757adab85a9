"""Brings a database to the current tables, at start and by `plantgate-hub db upgrade`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from plantgate_shared.errors import ConfigError

_LOCK = 0x706C616E74  # any number of our own: PostgreSQL's advisory locks are named by numbers


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def upgrade(engine: AsyncEngine) -> None:
    """Run the migrations that are missing, in one transaction; nodes that start at once wait for each other."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"the database does not fit this release: {error}",
            hint="it was made by a newer release; install that one or restore an older backup",
        ) from None


async def current(engine: AsyncEngine) -> tuple[str | None, str | None]:
    """(the database's migration, the newest one of this release)."""
    from alembic.runtime.migration import MigrationContext

    newest = ScriptDirectory.from_config(_configuration()).get_current_head()
    async with engine.connect() as connection:
        present = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    return present, newest
