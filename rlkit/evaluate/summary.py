"""The numbers of an evaluation, from its rows alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rlkit.evaluate.chunk import Chunk
from rlkit.evaluate.rows import Row
from rlkit.evaluate.statistics import (
    bootstrap_interval,
    majority_at_k,
    ock_score,
    pass_at_k,
    wilson_interval,
)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """A model on a benchmark. Shares are between 0 and 1; intervals are 95%.

    Accuracy, pass@k and majority@k are means over the problems that can be scored; those that cannot (such as
    a gold answer that cannot be parsed) are left out and counted. A completion that got no reward counts as
    wrong. The interval of the accuracy is Wilson's for one sample a problem; all others are bootstraps over
    problems. All else is over all completions.
    """

    num_problems: int
    num_samples: int
    accuracy: float
    accuracy_interval: Interval
    pass_at_k: dict[int, float]
    """For k = 1, 2, 4, ... and num_samples."""
    pass_at_k_interval: dict[int, Interval]
    majority_at_k: dict[int, float]
    """For the k above from 2 on; empty where the benchmark has no votes."""
    majority_at_k_interval: dict[int, Interval]
    mean_reward: float | None
    """Over the completions that got one; None where none did."""
    mean_tokens: float
    """Generated tokens a completion."""
    total_tokens: int
    """Generated in all."""
    mean_total_tokens: float
    """Prompt and completion, a completion."""
    truncated: float
    """Share of completions cut at the limit."""
    unparseable: float
    """Share of completions in which no answer was found."""
    ock_score: float
    num_unscorable_problems: int
    num_unscorable_completions: int
    """Of problems that can be scored."""
    num_reward_errors: int
    generation_seconds: float
    grading_seconds: float
    tokens_per_second: float
    """Generated tokens per second of generation."""


def summarize(chunk: Chunk, has_votes: bool, seed: int) -> Summary:
    """The numbers of all rows of an evaluation, as one chunk; each problem's rows follow one another.

    Raises:
        ValueError: no problem can be scored.
    """
    rows = chunk.rows
    num_samples = 1 + max(row.sample for row in rows)
    problems = [rows[i : i + num_samples] for i in range(0, len(rows), num_samples)]
    scored = [problem for problem in problems if problem[0].scorable]
    if not scored:
        raise ValueError(
            f"none of the {len(problems)} problems of {rows[0].benchmark} could be scored "
            f"({chunk.num_reward_errors} rewards failed); check that the reward reads the data's columns"
        )
    correct_N = np.array([sum(row.correct for row in problem) for problem in scored])
    accuracy = float(correct_N.mean() / num_samples)
    ks = sorted({*(2**i for i in range(num_samples.bit_length())), num_samples})
    passes, pass_intervals = _at_k(
        ks, lambda k: pass_at_k(np.full(len(scored), num_samples), correct_N, k), seed
    )
    majorities, majority_intervals = _at_k(
        [k for k in ks if k > 1] if has_votes else [], lambda k: _majorities(scored, k, seed), seed
    )
    rewards = [row.reward for row in rows if row.reward is not None]
    total_tokens = sum(row.num_tokens for row in rows)
    mean_total_tokens = float(np.mean([row.num_prompt_tokens + row.num_tokens for row in rows]))
    return Summary(
        num_problems=len(problems),
        num_samples=num_samples,
        accuracy=accuracy,
        accuracy_interval=(
            wilson_interval(int(correct_N.sum()), len(scored))
            if num_samples == 1
            else bootstrap_interval(correct_N / num_samples, seed)
        ),
        pass_at_k=passes,
        pass_at_k_interval=pass_intervals,
        majority_at_k=majorities,
        majority_at_k_interval=majority_intervals,
        mean_reward=float(np.mean(rewards)) if rewards else None,
        mean_tokens=total_tokens / len(rows),
        total_tokens=total_tokens,
        mean_total_tokens=mean_total_tokens,
        truncated=float(np.mean([row.truncated for row in rows])),
        unparseable=float(np.mean([row.answer is None for row in rows])),
        ock_score=ock_score(accuracy, mean_total_tokens),
        num_unscorable_problems=len(problems) - len(scored),
        num_unscorable_completions=sum(row.reward is None for problem in scored for row in problem),
        num_reward_errors=chunk.num_reward_errors,
        generation_seconds=chunk.generation_seconds,
        grading_seconds=chunk.grading_seconds,
        tokens_per_second=total_tokens / max(chunk.generation_seconds, 1e-9),
    )


def _at_k(
    ks: Sequence[int], values_of: Callable[[int], np.ndarray], seed: int
) -> tuple[dict[int, float], dict[int, Interval]]:
    """Means over problems and their intervals."""
    values = {k: values_of(k) for k in ks}
    means = {k: float(value_N.mean()) for k, value_N in values.items()}
    return means, {k: bootstrap_interval(value_N, seed) for k, value_N in values.items()}


def _majorities(problems: Sequence[Sequence[Row]], k: int, seed: int) -> np.ndarray:
    return np.array(
        [
            majority_at_k([row.group for row in problem], [row.correct for row in problem], k, seed)
            for problem in problems
        ]
    )
