"""A policy with known success probabilities that learns: any curriculum, at any scale, without a model.

    p_i = sigmoid(ability - difficulty_i)
    ability += learning_rate * sum over trained groups of 4 p_i (1 - p_i) / B

A group teaches as its prompt is informative, as GRPO's gradient does; where every completion is right or
wrong it teaches nothing. It shows what a curriculum chooses and what that costs, and that its parts work
together; it is no evidence that a real policy learns so.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.collect import NoLedger, Writer, collect
from rlkit.curriculum.curriculum import Curriculum
from rlkit.funnel import funnel
from rlkit.pool import PromptPool
from rlkit.types import ABSENT, Batch, Groups, Proposal

FEATURE_NOISE_SD = 0.5
"""Logits of error in what `SimulatedHost.features` shows of a difficulty."""
PASS_RATE_ROLLOUTS = 16
"""Completions behind each simulated row's `pass_rate`."""
JUDGE_NOISE_SD = 0.05
"""Error of a simulated judgement, in units of the variance."""
JUDGE_UNPARSEABLE = 0.003
"""Share of simulated judgements without a number: METIS's own, arXiv 2605.11235."""
CATEGORY_BOUNDS = np.array([-0.7, 0.0, 0.7])
"""Between the simulated categories, in standard deviations of the difficulties: four of about a quarter."""


@dataclass
class SimulationConfig:
    """The simulated policy and its prompts."""

    num_prompts: int = 1000
    num_steps: int = 100
    groups_per_step: int = 32
    num_generations: int = 8
    difficulty_sd: float = 4.0
    """Standard deviation of the difficulties, in logits: at 4, three in five have p < 0.1 or p > 0.9."""
    learning_rate: float = 0.05
    """Logits of ability that a batch of prompts at p = 0.5 teaches."""
    seed: int = 0

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
        for name in ("num_prompts", "num_steps", "groups_per_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 1")
        if self.num_generations < 2:
            raise ValueError(
                f"num_generations ({self.num_generations}) must be at least 2: a group of one has no "
                "advantage"
            )
        if self.difficulty_sd <= 0:
            raise ValueError(f"difficulty_sd ({self.difficulty_sd}) must be above 0")


class SimulatedHost:
    """Rolls out by coin flips with the policy's present success probabilities."""

    def __init__(self, config: SimulationConfig):
        self.config = config
        # Streams of their own: features must not be told the difficulties by a shared seed.
        difficulties, noise, self._coins, past, self._judge = np.random.default_rng(config.seed).spawn(5)
        self.difficulty_N = difficulties.normal(0.0, config.difficulty_sd, config.num_prompts)
        self._looks_N = self.difficulty_N + noise.normal(0.0, FEATURE_NOISE_SD, config.num_prompts)
        self.ability = 0.0
        p_N = self.truth(np.arange(config.num_prompts))
        self._pass_rate_N = past.binomial(PASS_RATE_ROLLOUTS, p_N) / PASS_RATE_ROLLOUTS

    def rows(self) -> list[dict[str, Any]]:
        """The prompts with what a data set might say of them: a measured `pass_rate` of the first policy, and
        a `category` by how difficult they look."""
        bounds = CATEGORY_BOUNDS * self.config.difficulty_sd
        names = np.array([f"category {number}" for number in range(len(bounds) + 1)])
        category_N = names[np.searchsorted(bounds, self._looks_N)]
        return [
            {"prompt": f"simulated prompt {number}", "pass_rate": rate, "category": category}
            for number, (rate, category) in enumerate(
                zip(self._pass_rate_N.tolist(), category_N.tolist(), strict=True)
            )
        ]

    def whole(self, num: int, count: int) -> int:
        return num

    def agree(self, proposal: Proposal) -> Proposal:
        return proposal

    def rollout(self, proposal: Proposal) -> Groups:
        start = time.perf_counter()
        p_P = self.truth(proposal.index_P)
        place = np.arange(proposal.count_P.max())
        absent_PG = place >= proposal.count_P[:, None]
        reward_PG = (self._coins.random(absent_PG.shape) < p_P[:, None]).astype(float)
        reward_PG[absent_PG] = np.nan
        return Groups(
            index_P=proposal.index_P,
            signal_PG=reward_PG,
            reward_PG=reward_PG,
            length_PG=(~absent_PG).astype(np.int64),
            generation_seconds=time.perf_counter() - start,
            age_PG=np.where(absent_PG, ABSENT, 0),
        )

    def truth(self, index_N: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(self.difficulty_N[index_N] - self.ability))

    def features(self, index_N: np.ndarray) -> np.ndarray:
        """What a policy's hidden state might show of a difficulty: eight bumps on its scale, with noise."""
        centers = np.linspace(-2, 2, 8) * self.config.difficulty_sd
        distance = (self._looks_N[index_N, None] - centers) / self.config.difficulty_sd
        return np.exp(-(distance**2)).astype(np.float32)

    def judge(self, index_N: np.ndarray, context_N: list[str], max_tokens: int) -> list[str]:
        """p(1 - p) with noise, now and then without a number. Judgements cost no tokens here."""
        p_N = self.truth(index_N)
        variance_N = p_N * (1 - p_N) + self._judge.normal(0.0, JUDGE_NOISE_SD, len(p_N))
        written_N = self._judge.random(len(p_N)) >= JUDGE_UNPARSEABLE
        return [
            f"\\boxed{{{variance:.4f}}}" if written else "No idea."
            for variance, written in zip(variance_N.clip(0, 0.25).tolist(), written_N.tolist(), strict=True)
        ]

    def teach(self, index_P: np.ndarray, advantage_P: np.ndarray, weight: float) -> None:
        """The simulated judge stays as good as it is."""

    def learn(self, batch: Batch) -> None:
        """The update: ability grows with the mean of 4p(1-p) over the trained groups whose rewards differ."""
        trained = batch.trained_P
        p_P = self.truth(batch.groups.index_P[trained])
        lesson_P = 4 * p_P * (1 - p_P) * batch.groups.informative_P[trained]
        self.ability += self.config.learning_rate * float(lesson_P.sum()) / len(batch.chosen_B)


def simulate(
    curriculum: Curriculum, config: SimulationConfig, ledger: Writer | None = None
) -> list[dict[str, float]]:
    """Runs a curriculum against the simulated policy.

    It ends after `num_steps`, or earlier where the curriculum's budget is spent.

    Returns:
        One row a step: the funnel, the totals, the calibration, and the policy's true success over the pool
        ("accuracy").
    """
    config.validate()
    host = SimulatedHost(config)
    pool = PromptPool(host.rows(), np.arange(config.num_prompts, dtype=np.uint64), seed=config.seed)
    curriculum.bind(pool, host, config.groups_per_step, config.num_generations)
    everything = np.arange(len(pool))
    history = []
    totals: dict[str, float] = defaultdict(float)
    for step in range(1, config.num_steps + 1):
        start = time.perf_counter()
        batch = collect(curriculum, host, config.groups_per_step, NoLedger() if ledger is None else ledger)
        host.learn(batch)
        row = {"step": step, **funnel(batch), **curriculum.metrics()}
        totals["seconds/total"] += time.perf_counter() - start
        for name in ("rollouts/spent", "rollouts/trained", "tokens/generated"):
            totals[f"{name}_total"] += row[name]
        history.append({**row, **totals, "accuracy": float(host.truth(everything).mean())})
        if curriculum.budget is not None and curriculum.budget.is_spent(history[-1]):
            break
    return history
