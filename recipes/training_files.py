"""What recipes/sft.py and recipes/dpo.py share: rows from a file, and the checkpoint to go on from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkit.prompts.files import read_rows
from rlkit.record.manifest import checkpoints


@dataclass
class FileArguments:
    """What these recipes add to TRL's settings."""

    dataset_path: str = field(metadata={"help": "A .jsonl, .json or .parquet file in one of TRL's formats."})
    resume: str | None = field(
        default=None, metadata={"help": "auto: go on from the newest whole checkpoint in output_dir, if any."}
    )


def load_rows(path: str, forms: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """The rows of a file, with the columns of the first of TRL's forms that all of them have, and `tools`.

    load_rows("data.jsonl", [("prompt", "completion"), ("messages",)])

    Raises:
        ValueError: a row has the columns of no form: which one, and what it has.
    """
    rows = read_rows(path)
    for form in forms:
        if all(row.get(name) is not None for row in rows for name in form):
            names = [*form, *(["tools"] if "tools" in rows[0] else [])]
            return [{name: row.get(name) for name in names} for row in rows]
    position = next(
        number for number, row in enumerate(rows) if any(row.get(name) is None for name in forms[0])
    )
    wanted = " or ".join(" and ".join(form) for form in forms)
    raise ValueError(
        f"dataset_path ({path}): row {position} must have {wanted}; it has {sorted(rows[position])}"
    )


def newest_checkpoint(resume: str | None, output_dir: str) -> str | None:
    """The newest checkpoint that a kill has not cut short: transformers writes trainer_state.json last.

    Raises:
        ValueError: `resume` is something else than auto.
    """
    if resume is None:
        return None
    if resume != "auto":
        raise ValueError(f"resume ({resume}) must be auto; leave it out to start anew")
    return next((str(path) for path in reversed(checkpoints(Path(output_dir))) if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return True
