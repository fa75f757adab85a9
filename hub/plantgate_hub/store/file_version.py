"""Whether an SQLite file is still as it was: a look that costs microseconds, where a transaction costs milliseconds.

SQLite counts, for each connection, the commits that others made (`PRAGMA data_version`). The feed asks four times a
second whether there is news, and there hardly ever is: most of an idle hub's processor time went into those questions.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path


class FileVersion:
    """A connection of its own, which never writes, so that every commit is somebody else's."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def read(self) -> tuple[int, int] | None:
        """Equal only while nothing was committed in between; None: cannot be told now.

        It waits for no lock, so that it may be called on the event loop.
        """
        try:
            if self._connection is None:
                self._opened += 1  # another connection counts anew, and may come to the same number
                self._connection = sqlite3.connect(self._uri, uri=True, timeout=0, check_same_thread=False)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return self._opened, int(version)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
