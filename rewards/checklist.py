"""RLCF's checklist: the weighted mean, in [0, 1], of how far the completion meets each item of its row.

An item of the row's `checklist` is `{"weight": 0 to 100}` with a "question" for a judge, a "program" that
defines `check(completion: str) -> bool`, or both: then the mean of the two counts. Viswanathan et al., arXiv
2507.18624, where a judge's answer is the mean of 25 samples (`Judge.num_samples`); 1 is the default here.

None (unscorable) for a row that needs a judge's grade which is not to be had, or whose items all weigh
nothing. A program runs in the sandbox (rlkit/verify/sandbox.py). Where it fails on a completion, that one
does not meet the item; a program that never defines `check` is left out, and with it an item of its own.

The judge is that of the environment (rlkit/verify/judge.py), or, in a file of yours named in the recipe as
mine.py:checklist:

    checklist = Checklist(Judge("http://localhost:8000/v1", "Qwen/Qwen2.5-72B-Instruct", num_samples=5))

Needs pip install 'rlkit[judge]' for questions, and bubblewrap for programs.
"""

import asyncio
import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.verify.judge import Judge, Question
from rlkit.verify.sandbox import Limits, ProgramError, run_function
from rlkit.verify.text import Completion, completion_text

MAX_CHARS = 100_000  # of a completion, for a program
LIMITS = Limits(wall_seconds=5.0, cpu_seconds=5)

_CHECKED = "\n\ndef _checked(text):\n    return bool(check(text))\n"
_IS_DEFINED = "\n\ndef _is_defined():\n    return callable(check)\n"


@dataclass(frozen=True)
class Item:
    """One requirement; a ValueError names what is wrong with it."""

    weight: float
    question: str | None = None
    program: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float):
            raise ValueError(f"checklist: weight {self.weight!r} must be a number from 0 to 100")
        if not 0 <= self.weight <= 100:
            raise ValueError(f"checklist: weight {self.weight} must be from 0 to 100")
        if not (self.question or self.program):
            raise ValueError("checklist: an item must have a question or a program")


@dataclass(frozen=True)
class Checklist:
    """The reward with one judge; that of the environment where it is None."""

    judge: Judge | None = None

    __name__ = "checklist"  # of its metrics

    async def __call__(
        self, completions: list[Completion], checklist: list[Any], prompts: list[Any], **_: Any
    ) -> list[float | None]:
        """Score each completion by its row's checklist, a list of objects or its JSON."""
        rows = [read_checklist(row) for row in checklist]
        texts = [completion_text(completion) for completion in completions]
        questions = [
            Question(_last_text(prompt), text, item.question)
            for prompt, text, row in zip(prompts, texts, rows, strict=True)
            for item in row
            if item.question
        ]
        judge = self.judge or (Judge.from_environment() if questions else None)
        judged, checked = await asyncio.gather(
            _ask(judge, questions),
            _check([(item.program, text) for text, row in zip(texts, rows, strict=True) for item in row]),
        )
        grades, checks = iter(judged), iter(checked)
        return [
            weighted_mean([(item, next(grades) if item.question else None, next(checks)) for item in row])
            for row in rows
        ]


def read_checklist(row: Any) -> list[Item]:
    """The items of a row's column; a ValueError names what is wrong with them."""
    items = json.loads(row) if isinstance(row, str) else row
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise ValueError(f"checklist: must be a list of objects, not {items!r:.80}")
    return [Item(item.get("weight"), item.get("question"), item.get("program")) for item in items]


def weighted_mean(scored: Sequence[tuple[Item, float | None, float | None]]) -> float | None:
    """Of (item, judge's grade, program's result), with None for what there is not.

    weighted_mean([(Item(75, "?"), 0.4, None), (Item(25, None, "..."), None, 1.0)]) is 0.55.
    """
    total = weights = 0.0
    for item, grade, check in scored:
        if item.question and grade is None:
            return None
        parts = [part for part in (grade, check) if part is not None]
        if parts:
            total += item.weight * sum(parts) / len(parts)
            weights += item.weight
    return total / weights if weights else None


async def _ask(judge: Judge | None, questions: list[Question]) -> list[float | None]:
    return await judge.ask(questions) if judge else []


async def _check(programs: list[tuple[str | None, str]]) -> list[float | None]:
    """What each program says of its text, as many at a time as there are cores."""
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def check(program: str | None, text: str) -> float | None:
        if not program:
            return None
        async with places:
            return await asyncio.to_thread(run_check, program, text)

    return await asyncio.gather(*(check(*pair) for pair in programs))


def run_check(program: str, text: str) -> float | None:
    """1.0 where the program's `check` accepts the text, else 0.0; None where it defines no `check`."""
    text = text[:MAX_CHARS].encode("utf-8", "replace").decode()
    try:
        return float(run_function(program + _CHECKED, "_checked", [text], LIMITS) is True)
    except ProgramError:
        return 0.0 if _is_defined(program) else None


@functools.lru_cache(maxsize=4096)
def _is_defined(program: str) -> bool:
    try:
        return run_function(program + _IS_DEFINED, "_is_defined", []) is True
    except ProgramError:
        return False


def _last_text(prompt: Any) -> str:
    return completion_text(prompt) if isinstance(prompt, str | list) else ""


checklist = Checklist()
