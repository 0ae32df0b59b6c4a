"""What makes a checkpoint whole: `rlkit/manifest.json`, sizes and SHA-256 sums of its files, written last.

Every other file is on the disk before it, so that a folder without one was cut short while being saved, and
one that disagrees with its files was altered. Hashing takes one to two seconds a gigabyte, at each save and
once when a run resumes.
"""

import hashlib
import json
import logging
import re
import shutil
from functools import lru_cache
from pathlib import Path

from rlkit.record.disk import put_in_place, sync

logger = logging.getLogger(__name__)

MANIFEST = Path("rlkit") / "manifest.json"
ABANDONED = Path("rlkit") / "manifest.abandoned.json"
"""Its name in a checkpoint of steps that a resumed run has gone back behind."""


def commit(checkpoint: Path) -> None:
    """Makes a checkpoint whole: its files are synced and summed, then the manifest is put in place."""
    files = _files(checkpoint)
    for folder in {checkpoint, checkpoint.parent, *(path.parent for path in files)}:
        sync(folder)
    for path in files:
        sync(path)
    names = [path.relative_to(checkpoint).as_posix() for path in files]
    sums = {
        name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for name, path in zip(names, files, strict=True)
    }
    target = checkpoint / MANIFEST
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps({"files": sums}, indent=1))
    put_in_place(temporary, target)


def is_committed(checkpoint: Path) -> bool:
    """Whether it was whole once; `defect` says whether it still is."""
    return (checkpoint / MANIFEST).exists()


def is_foreign(checkpoint: Path) -> bool:
    """Whether another program wrote it: ours have their folder before any file."""
    return not (checkpoint / MANIFEST.parent).is_dir() and any(checkpoint.iterdir())


def defect(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None where it is whole.

    A folder without a manifest -> "it was cut short while being saved (no rlkit/manifest.json)".
    """
    if not checkpoint.is_dir():
        return "there is no such folder"
    if (checkpoint / ABANDONED).exists():
        return "a resumed run went back behind it"
    if is_foreign(checkpoint):
        return f"it was not saved by rlkit (no {MANIFEST.parent.name}/)"
    if not is_committed(checkpoint):
        return f"it was cut short while being saved (no {MANIFEST.as_posix()})"
    stamps = ((path, path.stat()) for path in sorted([*_files(checkpoint), checkpoint / MANIFEST]))
    return _defect(checkpoint, tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stamps))


@lru_cache(maxsize=64)
def _defect(checkpoint: Path, stamps: tuple[tuple[Path, int, int], ...]) -> str | None:
    """`stamps` are there so that files that did not change are summed once a process."""
    try:
        expected = json.loads((checkpoint / MANIFEST).read_text())["files"]
        for name, entry in expected.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != entry["bytes"]:
                return f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}"
            if _sha256(path) != entry["sha256"]:
                return f"{name} was altered (its SHA-256 is not the manifest's)"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST.as_posix()} cannot be read ({error!r})"
    return None


def checkpoints(output_dir: Path) -> list[Path]:
    """The folders checkpoint-N by number, whole or not."""
    found = (path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name))
    return sorted((path for path in found if path.is_dir()), key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def abandon_after(checkpoint: Path) -> bool:
    """Checkpoints of later steps no longer count: the run goes back behind them, and so does its ledger.

    Returns whether there were any.
    """
    later = [path for path in checkpoints(checkpoint.parent) if step_of(path) > step_of(checkpoint)]
    abandoned = [path for path in later if is_committed(path)]
    for path in abandoned:
        put_in_place(path / MANIFEST, path / ABANDONED)
        logger.warning("%s no longer counts: the run goes back to %s", path, checkpoint.name)
    return bool(abandoned)


def rotate(newest: Path, limit: int | None, best: str | None) -> None:
    """Deletes what `save_total_limit` leaves no room for; never `newest` or the best model's.

    Whole checkpoints count, oldest go first; those cut short before `newest` go too, and what another program
    wrote stays. `newest` must be whole.
    """
    if not limit or limit < 1:
        return
    ours = [path for path in checkpoints(newest.parent) if not is_foreign(path)]
    earlier = [path for path in ours if step_of(path) < step_of(newest)]
    kept = {Path(best).name} if best else set()
    spare = [path for path in earlier if path.name not in kept and is_committed(path)]
    room = max(limit - 1 - len(kept - {newest.name}), 0)
    for path in [*spare[: len(spare) - room], *(path for path in earlier if not is_committed(path))]:
        shutil.rmtree(path, ignore_errors=True)


def _files(checkpoint: Path) -> list[Path]:
    """All files of a checkpoint but its manifest."""
    manifests = {checkpoint / MANIFEST, checkpoint / ABANDONED}
    return sorted(path for path in checkpoint.rglob("*") if path.is_file() and path not in manifests)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
