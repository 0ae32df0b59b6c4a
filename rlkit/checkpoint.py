"""The curriculum's state beside the trainer's checkpoint: `checkpoint-N/rlkit/*.pt`, whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

VERSION = 3
FOLDER = "rlkit"


def save_state(checkpoint: Path, name: str, state: dict[str, Any]) -> None:
    """Writes `state` under a temporary name, then renames it.

    It may hold dicts, lists, numbers, strings, None, arrays and tensors; a tuple comes back as a list.
    """
    folder = checkpoint / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.tmp"
    torch.save({"version": VERSION, "state": _pack(state)}, temporary)
    temporary.replace(folder / f"{name}.pt")


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
            "weights instead (model_name_or_path)"
        )
    stored = torch.load(path, weights_only=True)
    if stored["version"] != VERSION:
        raise ValueError(
            f"{path} has format {stored['version']}, this rlkit reads {VERSION}; "
            "resume with the version that wrote it"
        )
    return _unpack(stored["state"])


def last_checkpoint(output_dir: str | Path) -> str | None:
    """The newest whole checkpoint; one that a killed process left unfinished has no trainer state yet."""
    found = [path.parent for path in Path(output_dir).glob("checkpoint-*/trainer_state.json")]
    return str(max(found, key=lambda path: int(path.name.split("-")[1]))) if found else None


def find_checkpoint(resume_from: str | bool | None, output_dir: str) -> str | None:
    """The checkpoint's folder; True (or "true", from a command line) is the newest in `output_dir`.

    Raises:
        ValueError: the newest is asked for and there is none.
    """
    if resume_from not in (True, "true", "True"):
        return str(resume_from) if resume_from else None
    newest = last_checkpoint(output_dir)
    if newest is None:
        raise ValueError(f"resume_from_checkpoint is set, and output_dir ({output_dir}) has no checkpoint")
    return newest


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
    traces = ["metrics.jsonl", *(path.name for path in output_dir.glob("checkpoint-*"))]
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
