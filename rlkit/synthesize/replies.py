"""The teacher's replies on disk, by the hash of the request: what was paid for is never asked again."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """The texts of a reply's choices, and the tokens that it cost, prompt and completions."""

    texts: list[str | None]
    tokens: int


class Replies:
    """An SQLite file; a reply is there as soon as it is put, also after kill -9.

    Raises:
        ValueError: the file is there and is no such file.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, texts TEXT, tokens INTEGER)"
            )
        except sqlite3.Error as error:
            raise ValueError(
                f"{path} holds no replies ({error}); delete it, or give another --out"
            ) from error

    def get(self, request: dict[str, Any]) -> Reply | None:
        row = self._connection.execute(
            "SELECT texts, tokens FROM replies WHERE key = ?", (_key(request),)
        ).fetchone()
        return None if row is None else Reply(json.loads(row[0]), row[1])

    def put(self, request: dict[str, Any], reply: Reply) -> None:
        values = (_key(request), json.dumps(reply.texts), reply.tokens)
        self._connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", values)

    def spent(self) -> tuple[int, int]:
        """Requests that were answered, and their tokens, since the file began."""
        found = self._connection.execute("SELECT COUNT(*), COALESCE(SUM(tokens), 0) FROM replies").fetchone()
        return found[0], found[1]

    def close(self) -> None:
        self._connection.close()


def _key(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
