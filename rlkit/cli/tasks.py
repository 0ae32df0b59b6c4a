"""`rlkit tasks`: a reasoning-gym task as a data file."""

import json
from pathlib import Path
from typing import Annotated

import typer


def tasks(
    names: Annotated[list[str], typer.Argument(help="reasoning-gym's tasks, such as spell_backward.")],
    out: Annotated[Path, typer.Option(help="The .jsonl file to write, for --dataset_path.")],
    size: Annotated[int, typer.Option(help="Rows of each task.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Row i of a task depends on seed + i alone.")] = 0,
) -> None:
    """Write rows of reasoning-gym tasks, for the reward rewards.reasoning_gym:reasoning_gym."""
    from rlkit.prompts.tasks import task_rows

    if out.suffix != ".jsonl":
        raise ValueError(f"--out {out} must end in .jsonl")
    rows = [row for name in names for row in task_rows(name, size, seed)]
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    part.replace(out)
    typer.echo(f"{len(rows)} rows in {out}")
