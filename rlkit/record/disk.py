"""Files that are whole or not there at all, also after a power cut."""

import errno
import os
from pathlib import Path

UNSYNCED_FOLDERS = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EISDIR)
"""What systems say where a folder cannot be opened (Windows) or synced (some network disks)."""


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names where the system can do that, is on the disk itself."""
    try:
        _sync(path)
    except OSError as error:
        if not (path.is_dir() and error.errno in UNSYNCED_FOLDERS):
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)  # Windows syncs for writers
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a finished file to its name, both synced."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
