"""Brings a database to the current tables, at start and by `plantgate-hub db upgrade`.

Alembic is imported only when there is something to do: it takes a third of a short command's start.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from plantgate_shared.errors import ConfigError

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0005_kept_answers"
"""The last migration under `migrations/versions`; a contract test holds it to that."""
_LOCK = 0x706C616E74  # any number of our own: PostgreSQL's advisory locks are named by numbers


async def upgrade(engine: AsyncEngine) -> None:
    """Run the migrations that are missing, in one transaction; nodes that start at once wait for each other."""
    if await current(engine) != NEWEST:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)


async def current(engine: AsyncEngine) -> str | None:
    """The database's migration; None before the first."""
    async with engine.connect() as connection:
        return await connection.run_sync(_current)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"the database does not fit this release: {error}",
            hint="it was made by a newer release; install that one or restore an older backup",
        ) from None


def configuration() -> "Config":
    """Alembic's configuration for our migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
