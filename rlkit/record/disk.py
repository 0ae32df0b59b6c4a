"""Files that are whole or not there at all, also after a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a finished file to its name, both synced."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
