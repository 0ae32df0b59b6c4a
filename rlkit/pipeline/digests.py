"""What a file or folder holds, in 32 letters; read again only where its size or its times have changed."""

import json
from collections.abc import Iterable
from hashlib import blake2b, file_digest
from pathlib import Path


class Digests:
    """Digests by content.

    Args:
        memory: a file that remembers them between runs.
    """

    def __init__(self, memory: Path):
        self._memory = memory
        try:
            self._known: dict[str, list] = json.loads(memory.read_text())
        except (OSError, ValueError):  # none yet, or cut short: all is read again
            self._known = {}

    def of(self, path: Path, patterns: Iterable[str] = ("**/*",)) -> str | None:
        """The digest of a file, or of the files of a folder that match; None where there are none."""
        if path.is_file():
            return self._file(path)
        files = sorted({file for pattern in patterns for file in path.glob(pattern) if file.is_file()})
        if not files:
            return None
        digest = blake2b(digest_size=16)
        for file in files:
            digest.update(f"{file.relative_to(path).as_posix()}\0{self._file(file)}\0".encode())
        return digest.hexdigest()

    def save(self) -> None:
        temporary = self._memory.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._known))
        temporary.replace(self._memory)

    def _file(self, path: Path) -> str:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        name = str(path.resolve())
        if name not in self._known or self._known[name][:-1] != stamp:
            with path.open("rb") as file:
                self._known[name] = [*stamp, file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()]
        return self._known[name][-1]
