"""Whether an SQLite file is as it was: commits of other connections show, and what cannot be told is not guessed."""

import sqlite3
from contextlib import closing

from plantgate_hub.store.file_version import FileVersion


def test_each_commit_of_another_connection_shows(tmp_path):
    with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        file = FileVersion(tmp_path / "hub.db")
        first = file.read()
        assert first is not None
        assert file.read() == first
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (1)")
        assert file.read() == first  # a writer at work neither shows nor keeps us waiting
        writer.execute("COMMIT")
        assert file.read() not in (first, None)
        file.close()


def test_a_file_that_is_not_there_says_nothing_until_it_is(tmp_path):
    file = FileVersion(tmp_path / "hub.db")
    assert file.read() is None
    with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (x)")
    assert file.read() is not None
    file.close()
