"""Which skill is to be trained with which examples: one task for each failed question and missing skill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

MISSING = ("missing_skills", "skills", "category")
OF_EXAMPLES = ("skills", "category")
"""Columns in which skills are looked for, in this order: a list of names or numbers, or one."""
NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Task:
    """A skill, the failed question that lacked it, and positions of examples that train it."""

    failed: str
    skill: str
    examples: tuple[int, ...]


def make_tasks(
    failed: Sequence[Mapping[str, Any]],
    failed_texts: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
    seed: int,
) -> tuple[list[Task], list[str]]:
    """The tasks in order of the failed rows, and the skills that no example trains.

    A task's examples are drawn by the seed, the question and the skill alone.

    Raises:
        ValueError: a failed row names no skill, no example names one, or no skill has an example.
    """
    holders: dict[str, list[int]] = {}
    for position, row in enumerate(examples):
        for skill in skills_of(row, OF_EXAMPLES):
            holders.setdefault(skill, []).append(position)
    if not holders:
        raise ValueError(f"examples: no row names its skills; add a column {' or '.join(OF_EXAMPLES)}")
    tasks, lacking = [], []
    for number, (row, text) in enumerate(zip(failed, failed_texts, strict=True)):
        missing = skills_of(row, MISSING)
        if not missing:
            raise ValueError(f"failed: row {number} names no skill; add a column {', '.join(MISSING)}")
        for skill in missing:
            if skill not in holders:
                lacking.append(skill)
                continue
            digest = blake2b(f"{seed}\n{skill}\n{text}".encode("utf-8", "replace"), digest_size=8).digest()
            rng = np.random.default_rng(int.from_bytes(digest, "big"))
            held = holders[skill]
            chosen = rng.choice(len(held), min(NUM_EXAMPLES, len(held)), replace=False)
            tasks.append(Task(text, skill, tuple(held[place] for place in chosen)))
    if not tasks:
        raise ValueError(f"no example trains any of the missing skills, such as {lacking[0]!r}")
    return tasks, list(dict.fromkeys(lacking))


def skills_of(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """The names in the first of the columns that has any."""
    for column in columns:
        value = row.get(column)
        names = value if isinstance(value, list) else [value]
        found = [str(name) for name in names if name is not None and str(name).strip()]
        if found:
            return list(dict.fromkeys(found))
    return []
