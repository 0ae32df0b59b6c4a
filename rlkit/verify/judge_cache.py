"""A judge's grades on disk, by the hash of the request: an SQLite file that several processes may share."""

import sqlite3
import warnings
from pathlib import Path

SECONDS_TO_WAIT = 10.0  # for another process that writes


class JudgeCache:
    """Grades that outlast a run. A file that cannot be used costs a warning and the requests, never a run."""

    def __init__(self, path: Path | None) -> None:
        """None keeps nothing."""
        self._connection: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=SECONDS_TO_WAIT, isolation_level=None)
            self._connection.execute("PRAGMA synchronous = OFF")  # a power cut may cost it, a kill does not
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS grades (key TEXT PRIMARY KEY, grade REAL NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def get(self, key: str, size: int = 1) -> tuple[float, ...] | None:
        """The `size` values kept under a key; None unless all are there."""
        rows = [
            self._execute("SELECT grade FROM grades WHERE key = ?", (name,)) for name in _names(key, size)
        ]
        return tuple(row[0] for row in rows if row) if all(rows) else None

    def put(self, key: str, values: tuple[float, ...]) -> None:
        """Keep a grade, or several values."""
        for name, value in zip(_names(key, len(values)), values, strict=True):
            self._execute("INSERT OR REPLACE INTO grades VALUES (?, ?)", (name, value))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _execute(self, statement: str, values: tuple[str | float, ...]) -> tuple[float] | None:
        if self._connection is None:
            return None
        try:
            return self._connection.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        warnings.warn(f"the judge's cache is not used: {error}", stacklevel=4)
        self.close()


def _names(key: str, size: int) -> list[str]:
    """A key of its own for each value; that of the first is the key itself."""
    return [key, *(f"{key}/{position}" for position in range(1, size))]
