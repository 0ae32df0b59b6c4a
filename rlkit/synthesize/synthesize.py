"""STAT-Syn (arXiv 2510.10023, algorithm 1): for each failed question and missing skill a teacher writes 2 new
questions from 3 that train the skill, and 3 solutions of each; a question is kept where 2 of them agree."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.evaluate.overlap import prompt_texts
from rlkit.harvest.write import check_out, write_rows
from rlkit.settings.columns import has_column
from rlkit.synthesize.messages import ask_for_questions, ask_for_solutions, read_questions
from rlkit.synthesize.replies import Replies
from rlkit.synthesize.skills import Task, make_tasks
from rlkit.synthesize.teacher import Limits, Teacher
from rlkit.verify.answers import find_answer
from rlkit.verify.equivalence import equivalent_groups
from rlkit.verify.judge import openai_package

AGREEING = 2
"""Solutions with one answer, at the least."""
Solved = tuple[str, list[str | None]]
"""A question and its solutions."""


@dataclass(frozen=True)
class Address:
    """Where the teacher is."""

    url: str
    model: str
    api_key: str = "none"


@dataclass(frozen=True)
class Synthesis:
    """The rows that were written; `counts` of requests and of questions; skills that no example trains."""

    rows: list[dict[str, Any]]
    counts: Counter[str]
    is_spent: bool
    lacking: list[str]


def synthesize(
    failed: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    out: Path,
    address: Address,
    limits: Limits | None = None,
    prompt_column: str = "question",
    reply_tokens: int = 2048,
    seed: int = 0,
    kept: Path | None = None,
) -> Synthesis:
    """Writes the questions that were kept, in order of the failed rows. Called again it goes on.

    Args:
        failed: rows with a question and its missing skills (skills.py).
        examples: rows with a question and the skills that it trains.
        out: a .jsonl or .parquet file, with `prompt` and `completion` (TRL's messages), `question`, `answer`,
            `solutions` that agree, and where they come from.
        reply_tokens: of a reply, at the most.
        kept: where the teacher's replies stay; `<out>.replies.sqlite3` where None.

    Raises:
        ValueError: rows without skills or questions, the teacher is away, or nothing was kept.
    """
    check_out(out)
    failed_texts, example_texts = (_texts(rows, prompt_column) for rows in (failed, examples))
    tasks, lacking = make_tasks(failed, failed_texts, examples, seed)
    kept = kept or out.with_name(f"{out.name}.replies.sqlite3")
    replies = Replies(kept)
    try:
        teacher, written = asyncio.run(
            _ask(tasks, example_texts, replies, address, limits or Limits(), reply_tokens)
        )
        num_answered = replies.spent()[0]
    finally:
        replies.close()
    if teacher.trouble is not None:
        raise ValueError(
            f"the teacher {address.model} at {address.url} is not to be had ({teacher.trouble}); its "
            f"{num_answered} answers so far are kept: call again to go on"
        )
    rows, counts = _agreed(tasks, written, (*failed_texts, *example_texts), address.model)
    counts = teacher.counts + counts
    if not rows:
        budget = "; the budget is spent" if teacher.is_spent else ""
        raise ValueError(
            f"nothing was kept of what {address.model} wrote: "
            f"{', '.join(f'{name}: {num}' for name, num in counts.items())}; look at its replies in "
            f"{kept.name}{budget}"
        )
    write_rows(rows, out)
    return Synthesis(rows, counts, teacher.is_spent, lacking)


def _agreed(
    tasks: Sequence[Task], written: Sequence[Sequence[Solved]], given: Sequence[str], model: str
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The rows of the questions, copies of given ones left out, on whose answer solutions agree."""
    seen = set(map(_plain, given))
    counts, rows = Counter(), []
    for task, questions in zip(tasks, written, strict=True):
        for question, texts in questions:
            if _plain(question) in seen:
                counts["copies"] += 1
                continue
            seen.add(_plain(question))
            counts["questions"] += 1
            agreed = agreeing(texts)
            if agreed:
                rows.append(_row(task, question, *agreed, model))
    counts["kept questions"] = len(rows)
    return rows, counts


def agreeing(solutions: Sequence[str | None]) -> tuple[str, list[str]] | None:
    r"""The answer that most solutions state, and these solutions; None where fewer than AGREEING do.

    agreeing(["\\boxed{1/2}", "\\boxed{0.5}", "\\boxed{2}"]) is ("1/2", the first two).
    """
    texts = [text for text in solutions if text]
    answers = [find_answer(text) for text in texts]
    groups = equivalent_groups(answers)
    sizes = Counter(group for group in groups if group >= 0)
    if not sizes or max(sizes.values()) < AGREEING:
        return None
    winner = sizes.most_common(1)[0][0]
    answer = answers[groups.index(winner)]
    assert answer is not None
    return answer, [text for text, group in zip(texts, groups, strict=True) if group == winner]


async def _ask(
    tasks: Sequence[Task],
    example_texts: Sequence[str],
    replies: Replies,
    address: Address,
    limits: Limits,
    reply_tokens: int,
) -> tuple[Teacher, list[list[Solved]]]:
    """The teacher after all tasks; each task's questions with their solutions."""
    openai = openai_package()
    async with openai.AsyncOpenAI(
        base_url=address.url,
        api_key=address.api_key,
        timeout=limits.request_seconds,
        max_retries=limits.max_retries,
    ) as client:
        teacher = Teacher(client, openai, replies, limits)

        async def solve(question: str) -> Solved:
            return question, await teacher.ask(ask_for_solutions(address.model, question, reply_tokens))

        async def write(task: Task) -> list[Solved]:
            shown = [example_texts[position] for position in task.examples]
            texts = await teacher.ask(ask_for_questions(address.model, task.skill, shown, reply_tokens))
            questions = read_questions(texts[0]) if texts else []
            teacher.counts["replies without a question"] += bool(texts) and not questions
            return list(await asyncio.gather(*map(solve, questions)))

        return teacher, list(await asyncio.gather(*map(write, tasks)))


def _texts(rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    if not rows:
        raise ValueError("there are no rows to start from: failed and examples must hold some")
    return prompt_texts(rows, column if has_column(rows[0], column) else "prompt")


def _row(task: Task, question: str, answer: str, solutions: list[str], model: str) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": min(solutions, key=len)}],
        "question": question,
        "answer": answer,
        "solutions": solutions,
        "skill": task.skill,
        "failed_question": task.failed,
        "examples": list(task.examples),
        "teacher": model,
    }


def _plain(text: str) -> str:
    return json.dumps(text.casefold().split())
