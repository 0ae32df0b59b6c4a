"""The curriculum's state in a trainer's checkpoint, `checkpoint-N/rlkit/`, and which one to resume from."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlkit.record.disk import put_in_place
from rlkit.record.foreign import check_foreign
from rlkit.record.manifest import checkpoints, defect, is_committed, is_foreign

logger = logging.getLogger(__name__)

VERSION = 9
CHANGES = {
    5: "its prompts are known by their text alone, and a prompt is now known by its whole row",
    6: "it knows nothing of objectives, and its value model has another head",
    7: "its value model sees other numbers of a text and of a likelihood",
    8: "it does not say which features its value model found in the data",
    9: "its value model does not know the directions in which the texts of the pool differ",
}
"""What each format changed, so that older ones cannot be read."""
FOLDER = "rlkit"
AUTO = "auto"
"""As `resume_from_checkpoint`: the newest whole checkpoint, or a new run where there is none."""


def save_state(checkpoint: Path, name: str, state: dict[str, Any]) -> None:
    """Writes `state` under a temporary name, then renames it.

    It may hold dicts, lists, numbers, strings, None, arrays and tensors; a tuple comes back as a list.
    """
    folder = checkpoint / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.tmp"
    torch.save({"version": VERSION, "state": _pack(state)}, temporary)
    put_in_place(temporary, folder / f"{name}.pt")


def load_state(checkpoint: Path, name: str) -> dict[str, Any]:
    """Reads what `save_state` wrote.

    Raises:
        ValueError: the checkpoint has no such state, or it was written by another version.
    """
    path = checkpoint / FOLDER / f"{name}.pt"
    if not path.exists():
        raise ValueError(
            f"resume_from_checkpoint ({checkpoint}) has no {FOLDER}/{name}.pt: it was not saved by "
            "CurriculumGRPOTrainer with as many processes, or with save_only_model; start a new run from its "
            "weights instead (model_name_or_path), or go on from one of plain TRL with a fresh curriculum "
            "(fresh_curriculum: true)"
        )
    stored = torch.load(path, weights_only=True)
    if stored["version"] != VERSION:
        raise ValueError(_other_version(path, stored["version"]))
    return _unpack(stored["state"])


def _other_version(path: Path, version: int) -> str:
    why = next((f" ({change})" for number, change in CHANGES.items() if version < number), "")
    return (
        f"{path} has format {version}{why}, this rlkit reads {VERSION}; resume with the version that wrote "
        "it, or start a new run from the checkpoint's weights (model_name_or_path)"
    )


def last_checkpoint(output_dir: str | Path) -> str | None:
    """The newest whole checkpoint; broken ones after it are named in a warning, with what is wrong."""
    for checkpoint in reversed(checkpoints(Path(output_dir))):
        reason = defect(checkpoint)
        if reason is None:
            return str(checkpoint)
        if is_foreign(checkpoint):
            continue
        logger.warning("%s is passed over: %s", checkpoint, reason)
    return None


def find_checkpoint(resume_from: str | bool | None, output_dir: str) -> str | None:
    """The checkpoint's folder, whole.

    Args:
        resume_from: a folder; True (or "true", from a command line) for the newest in `output_dir`; "auto"
            for the newest or, where no checkpoint was ever completed, None: the run starts anew.

    Raises:
        ValueError: the checkpoint is broken, the newest is asked for and there is none that is whole, or the
            run would overwrite what another program wrote.
    """
    found = _find(resume_from, output_dir)
    if found is not None or resume_from == AUTO:
        check_foreign(output_dir, None if found is None else Path(found), resume_from)
    return found


def _find(resume_from: str | bool | None, output_dir: str) -> str | None:
    if resume_from in (None, False, ""):
        return None
    if resume_from in (True, "true", "True", AUTO):
        newest = last_checkpoint(output_dir)
        broken = [path for path in checkpoints(Path(output_dir)) if is_committed(path)]
        if newest is None and broken:
            reasons = "; ".join(f"{path.name}: {defect(path)}" for path in broken)
            raise ValueError(
                f"resume_from_checkpoint ({resume_from}): no checkpoint in output_dir ({output_dir}) is whole"
                f" ({reasons}); restore one from a copy, or start in another folder"
            )
        if newest is None and resume_from != AUTO:
            check_foreign(output_dir, None, resume_from)
            raise ValueError(
                f"resume_from_checkpoint is set, and output_dir ({output_dir}) has no checkpoint; start a "
                "new run, or set it to auto, which does so where there is none"
            )
        return newest
    checkpoint = Path(str(resume_from))
    reason = defect(checkpoint)
    if reason is not None and (checkpoint / FOLDER).is_dir():  # else `load_state` says whose it is
        newest = last_checkpoint(checkpoint.parent)
        remedy = f"the last whole one is {newest}" if newest else "and no other there is whole"
        raise ValueError(f"resume_from_checkpoint ({checkpoint}) is broken: {reason}; {remedy}")
    return str(checkpoint)


def resume_setting(resume: str | None, resume_from_checkpoint: str | None) -> str | None:
    """What a recipe resumes from: its own `--resume`, or the field of TrainingArguments.

    Raises:
        ValueError: both are set.
    """
    if resume and resume_from_checkpoint:
        raise ValueError(
            f"resume ({resume}) and resume_from_checkpoint ({resume_from_checkpoint}) are both set; keep one"
        )
    return resume or resume_from_checkpoint


def check_processes(checkpoint: Path, saved: int, running: int) -> None:
    """Raises ValueError where a run of several processes is resumed with another number of them."""
    if saved != running:
        raise ValueError(
            f"resume_from_checkpoint ({checkpoint}) was saved by {saved} processes, this run has {running}; "
            "each holds a part of the state, so resume with as many"
        )


def check_output_dir(output_dir: str | Path, resume_from: str | Path | None = None) -> None:
    """Raises ValueError where the folder holds another run than the one whose checkpoint is resumed."""
    output_dir = Path(output_dir)
    traces = ["metrics.jsonl", "events.jsonl", *(path.name for path in output_dir.glob("checkpoint-*"))]
    found = [name for name in traces if (output_dir / name).exists()]
    its_own = resume_from is not None and Path(resume_from).resolve().parent == output_dir.resolve()
    if found and not its_own:
        raise ValueError(
            f"output_dir ({output_dir}) holds another run ({', '.join(sorted(found))}); "
            "choose another folder, remove it, or set resume_from_checkpoint to one of its checkpoints"
        )


def _pack(value: Any) -> Any:
    """Arrays as tensors under a tag, so that the file loads with `weights_only=True`."""
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    if isinstance(value, np.ndarray):
        return {"__array__": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__array__"}:
            return value["__array__"].numpy()
        return {key: _unpack(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    return value
