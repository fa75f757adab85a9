"""Statements that SQLite and PostgreSQL both know, but SQLAlchemy spells per dialect."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection


async def upsert(connection: AsyncConnection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, or give the rows of their keys these values."""
    statement = _insert(connection)(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


async def insert_missing(connection: AsyncConnection, table: Any, row: dict[str, Any]) -> bool:
    """Insert the row unless there is one of its key; whether there was none."""
    keys = [column.name for column in table.primary_key.columns]
    statement = _insert(connection)(table).values(row).on_conflict_do_nothing(index_elements=keys)
    return bool((await connection.execute(statement)).rowcount)


def _insert(connection: AsyncConnection) -> Any:
    """The dialect's own `insert`; the dialect that is not in use is not loaded."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert
