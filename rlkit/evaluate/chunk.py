"""One chunk of a plan: its problems sampled and graded, as rows."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rlkit.evaluate.answers import answer_groups, read_answer
from rlkit.evaluate.engines import Engine, Sample
from rlkit.evaluate.plan import Plan, Task, reward_row
from rlkit.evaluate.problems import Problem, Prompt
from rlkit.evaluate.rows import Row
from rlkit.verify.rewards import as_completion, grade, guard

logger = logging.getLogger(__name__)

CORRECT = 1.0  # a completion whose reward is at least this counts as correct
PROBE = "0"  # no answer to anything; what scores even this can score any completion


@dataclass(frozen=True)
class Chunk:
    """A chunk's rows, problem after problem, its seconds, and on how many completions the reward failed."""

    rows: list[Row]
    generation_seconds: float
    grading_seconds: float
    num_reward_errors: int


def run_chunk(engine: Engine, plan: Plan, number: int) -> Chunk:
    """Sample and grade chunk `number` of a plan, from 0."""
    positions = plan.positions(number)
    start = time.perf_counter()
    ids = [plan.prompt_ids[position] for position in positions]
    samples = engine.sample(ids, plan.sampling, plan.chunk_seed(number))
    sampled = time.perf_counter()
    rows: list[Row] = []
    problems = [plan.task.problems[position] for position in positions]
    prompts = [plan.prompts[position] for position in positions]
    rewards, num_errors = _grade(plan.task, problems, prompts, samples)
    for problem, prompt, prompt_ids, its_samples, its_rewards in zip(
        problems, prompts, ids, samples, rewards, strict=True
    ):
        scorable = any(reward is not None for reward in its_rewards) or _can_score(plan.task, problem, prompt)
        rows += _rows(plan.task, problem, len(prompt_ids), its_samples, its_rewards, scorable)
    return Chunk(rows, sampled - start, time.perf_counter() - sampled, num_errors)


def _rows(
    task: Task,
    problem: Problem,
    num_prompt_tokens: int,
    samples: Sequence[Sample],
    rewards: Sequence[float | None],
    scorable: bool,
) -> list[Row]:
    kind = task.benchmark.kind
    answers = [read_answer(kind, sample.text) for sample in samples]
    return [
        Row(
            benchmark=task.benchmark.name,
            problem=problem.id,
            sample=number,
            completion=sample.text,
            reward=reward,
            correct=reward is not None and reward >= CORRECT,
            scorable=scorable,
            answer=answer,
            group=group,
            num_tokens=len(sample.token_ids),
            num_prompt_tokens=num_prompt_tokens,
            truncated=sample.truncated,
        )
        for number, (sample, reward, answer, group) in enumerate(
            zip(samples, rewards, answers, answer_groups(kind, answers), strict=True)
        )
    ]


def _grade(
    task: Task, problems: Sequence[Problem], prompts: Sequence[Prompt], samples: list[list[Sample]]
) -> tuple[list[list[float | None]], int]:
    """The rewards of each problem's samples, and how many of them failed; the reward is called once."""
    num_errors = 0

    def count(name: str, num_rows: int, error: Exception) -> None:
        nonlocal num_errors
        num_errors += num_rows
        logger.warning(
            "reward %s failed on %d completions: %s: %s", name, num_rows, type(error).__name__, error
        )

    rows, completions, ids = [], [], []
    for problem, prompt, its_samples in zip(problems, prompts, samples, strict=True):
        row = reward_row(problem, prompt)
        for sample in its_samples:
            rows.append(row)
            completions.append(as_completion(row, sample.text))
            ids.append(sample.token_ids)
    flat = grade(guard(task.reward, count), completions, rows, ids)
    num_samples = len(samples[0])
    return [flat[i : i + num_samples] for i in range(0, len(flat), num_samples)], num_errors


def _can_score(task: Task, problem: Problem, prompt: Prompt) -> bool:
    """Whether the reward gives an ordinary wrong completion of the problem a number."""
    row = reward_row(problem, prompt)
    guarded = guard(task.reward, lambda name, num_rows, error: None)
    return grade(guarded, [as_completion(row, PROBE)], [row])[0] is not None
