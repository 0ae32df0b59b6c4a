"""What an output folder holds that rlkit did not write: it is never deleted or overwritten."""

import json
from pathlib import Path

from rlkit.record.manifest import checkpoints, is_foreign, step_of

METRICS = "metrics.jsonl"


def check_foreign(output_dir: str | Path, resumed: Path | None, resume_from: str | bool | None) -> None:
    """Raises ValueError where a run in `output_dir` would overwrite what another program wrote.

    Args:
        resumed: the checkpoint that the run goes on from, None for a new one. Checkpoints of other programs
            up to its step can stay where they are.
        resume_from: as it was asked for.
    """
    folder = Path(output_dir)
    own = resumed is not None and resumed.resolve().parent == folder.resolve()
    last = step_of(resumed) if own and resumed is not None else -1
    foreign = [path for path in checkpoints(folder) if is_foreign(path) and step_of(path) > last]
    if foreign:
        newest = foreign[-1]
        raise ValueError(
            f"resume_from_checkpoint ({resume_from}): output_dir ({output_dir}) holds "
            f"{', '.join(path.name for path in foreign)}, saved by {_saver(newest)}: nothing of it is "
            f"touched. Start from its weights in another output_dir (model_name_or_path: {newest}), or go on "
            f"from it with a fresh curriculum (resume_from_checkpoint: {newest}, fresh_curriculum: true)"
        )
    if (resumed is None or is_foreign(resumed)) and not _is_ours(folder / METRICS):
        raise ValueError(
            f"output_dir ({output_dir}) holds a {METRICS} that rlkit did not write; choose another folder, "
            "or move it away"
        )


def _saver(checkpoint: Path) -> str:
    trainer = (checkpoint / "trainer_state.json").exists()
    return "a trainer without rlkit (such as TRL's own GRPOTrainer)" if trainer else "another program"


def _is_ours(metrics: Path) -> bool:
    """Whether the file is missing, empty or begins as ours do; a kill may have cut its last line short."""
    if not metrics.exists():
        return True
    with metrics.open(encoding="utf-8", errors="replace") as file:
        line = file.readline()
    if not line.endswith("\n"):
        return line == "" or line.startswith('{"step": ')
    try:
        return {"step", "seconds/total"} <= json.loads(line).keys()
    except (json.JSONDecodeError, AttributeError):
        return False
