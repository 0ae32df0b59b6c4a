"""A policy with known success probabilities that learns: any curriculum, at any scale, without a model.

    p_i = sigmoid(ability_c - difficulty_i + hint_slope * share)                c is the prompt's category
    lesson of a trained group = 4 p (1 - p) (1 - share), or 0 where its rewards do not differ
    ability_c <- (1 - forgetting) ability_c + ability_noise * Normal(0, 1)
                 + learning_rate / B * (lessons of c + transfer * lessons of other categories)
    tokens of a completion = length_median * exp(length_slope * (1/2 - p) + length_sd * Normal(0, 1))
    seconds of a step = seconds_per_token * tokens + seconds_per_candidate * candidates + seconds_per_update

A group teaches as its prompt is informative, as GRPO's gradient does; where every completion is right or
wrong it teaches nothing, and what a hint reveals (`share` of the solution, 0 without hints) is not learned.
It shows what a curriculum chooses and what that costs, and that its parts work together; it is no evidence
that a real policy learns so. Every number of the model is ours.
"""

import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlkit.collect import NoLedger, Writer, collect
from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.estimators import Reading
from rlkit.hosts.simulated.prompts import SimulatedRows, drawn_prompts, prompts_from_file
from rlkit.prompts.pool import PromptPool
from rlkit.record.funnel import funnel
from rlkit.types import ABSENT, Batch, Groups, Proposal

JUDGE_NOISE_SD = 0.05
"""Error of a simulated judgement, in units of the variance."""
JUDGE_UNPARSEABLE = 0.003
"""Share of simulated judgements without a number: METIS's own, arXiv 2605.11235."""
NUM_PROMPTS = 1000
"""In the pool, where neither `num_prompts` nor a file says otherwise."""
MOST_TESTED = 10_000
"""Prompts whose true success makes the "accuracy": all of a smaller pool, else a fixed sample."""


@dataclass
class SimulationConfig:
    """The simulated policy and its prompts. All defaults are ours."""

    num_prompts: int | None = None
    """Default: 1000, or all rows of the file; more than it has means that rows come again."""
    num_steps: int = 100
    groups_per_step: int = 32
    num_generations: int = 8
    difficulties: str | None = None
    """A .parquet, .jsonl or .json file whose `pass_rate` column is that of a policy of ability 0."""
    difficulty_sd: float = 4.0
    """Standard deviation of drawn difficulties, in logits: at 4, three in five have p < 0.1 or p > 0.9."""
    learning_rate: float = 0.05
    """Logits of ability that a batch of prompts at p = 0.5 teaches."""
    transfer: float = 1.0
    """Share of a lesson that other categories learn: at 1 there is one ability, at 0 each has its own."""
    forgetting: float = 0.0
    """Share of each ability that a step loses: without lessons it falls back to 0, where it started."""
    ability_noise: float = 0.0
    """Standard deviation of a random step of each ability at each update, in logits."""
    prompt_noise: float = 0.0
    """Standard deviation of a prompt's difficulty from one rollout of it to the next, in logits."""
    reward_parts: int = 1
    """Parts of a task, each passed with probability p: the reward is the share passed, so 1 is binary."""
    hint_slope: float = 8.0
    """Logits that a prompt's whole solution would add to its success: a hint adds its share of them."""
    length_median: float = 256.0
    """Tokens of a completion of a prompt at p = 0.5."""
    length_slope: float = 1.0
    """Completions are exp(length_slope) times as long at p = 0 as at p = 1."""
    length_sd: float = 0.5
    """Standard deviation of a completion's log length."""
    seconds_per_token: float = 1e-4
    """Of generation, over all that runs in parallel."""
    seconds_per_candidate: float = 1e-3
    """Of selection, the same for every curriculum: 1e-3 is about a prefill of a hundred tokens, as `pcl` with
    the policy's features needs. To look up history takes a thousandth: set 0 to compare such curricula."""
    seconds_per_update: float = 2.0
    seed: int = 0

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
        if self.num_prompts is not None and not isinstance(self.num_prompts, int):
            raise ValueError(f"num_prompts ({self.num_prompts!r}) must be a whole number, such as 1000000")
        if self.num_prompts is not None and self.num_prompts < 1:
            raise ValueError(f"num_prompts ({self.num_prompts}) must be at least 1")
        for name in ("num_steps", "groups_per_step", "reward_parts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 1")
        if self.num_generations < 2:
            raise ValueError(
                f"num_generations ({self.num_generations}) must be at least 2: a group of one has no "
                "advantage"
            )
        for name in ("difficulty_sd", "length_median"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} ({getattr(self, name)}) must be above 0")
        for name in ("transfer", "forgetting"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must lie in 0 to 1: it is a share")
        for name in NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 0")


NOT_NEGATIVE = (
    "learning_rate",
    "ability_noise",
    "prompt_noise",
    "hint_slope",
    "length_slope",
    "length_sd",
    "seconds_per_token",
    "seconds_per_candidate",
    "seconds_per_update",
    "seed",
)


class SimulatedHost:
    """Rolls out by coin flips with the policy's present success probabilities."""

    shows: tuple[str, ...] = ("perplexity",)

    def __init__(self, config: SimulationConfig):
        self.config = config
        # Streams of their own: features must not be told the difficulties by a shared seed.
        streams = np.random.default_rng(config.seed).spawn(9)
        difficulties, looks, self._coins, past, self._lengths, self._drift, self._moods, tested = streams[:8]
        self._judge = streams[8]
        made_by = (difficulties, looks, past)
        if config.difficulties is None:
            num = config.num_prompts or NUM_PROMPTS
            self.prompts = drawn_prompts(num, config.difficulty_sd, made_by, config.seed)
        else:
            self.prompts = prompts_from_file(config.difficulties, config.num_prompts, made_by, config.seed)
        self.difficulty_N, self.category_N = self.prompts.difficulty_N, self.prompts.category_N
        self.ability_C = np.zeros(len(self.prompts.categories))
        num = len(self.prompts)
        self._tested = np.arange(num) if num <= MOST_TESTED else tested.choice(num, MOST_TESTED, False)

    def rows(self) -> SimulatedRows:
        """The prompts with what a data set might say of them: `prompt`, a `pass_rate` measured with the first
        policy, a `category`, and a `solution`."""
        return SimulatedRows(self.prompts)

    def whole(self, num: int, count: int) -> int:
        return num

    def agree(self, proposal: Proposal) -> Proposal:
        return proposal

    def rollout(self, proposal: Proposal) -> Groups:
        """Groups whose generation takes the simulated seconds."""
        config, index_P = self.config, proposal.index_P
        absent_PG = np.arange(proposal.count_P.max()) >= proposal.count_P[:, None]
        mood_P = config.prompt_noise * self._moods.normal(size=len(index_P))
        p_P = self._success(index_P, mood_P - config.hint_slope * proposal.share_P)
        passed = self._coins.random((*absent_PG.shape, config.reward_parts)) < p_P[:, None, None]
        reward_PG = np.where(absent_PG, np.nan, passed.mean(axis=2))
        spread_PG = config.length_sd * self._lengths.normal(size=absent_PG.shape)
        length_PG = config.length_median * np.exp(config.length_slope * (0.5 - p_P[:, None]) + spread_PG)
        length_PG = np.where(absent_PG, 0, np.maximum(np.rint(length_PG), 1)).astype(np.int64)
        return Groups(
            index_P=index_P,
            signal_PG=reward_PG,
            reward_PG=reward_PG,
            length_PG=length_PG,
            generation_seconds=config.seconds_per_token * int(length_PG.sum()),
            age_PG=np.where(absent_PG, ABSENT, 0),
            share_P=proposal.share_P,
        )

    def truth(self, index_N: np.ndarray) -> np.ndarray:
        """Present success probabilities, (N,), without `prompt_noise`."""
        return self._success(index_N, 0.0)

    def _success(self, index_N: np.ndarray, mood_N: np.ndarray | float) -> np.ndarray:
        difficulty_N = self.difficulty_N[index_N] + mood_N
        return 1 / (1 + np.exp(difficulty_N - self.ability_C[self.category_N[index_N]]))

    def accuracy(self) -> float:
        """Mean success probability over all prompts; in a pool of more than `MOST_TESTED`, over as many."""
        return float(self.truth(self._tested).mean())

    def features(self, index_N: np.ndarray) -> np.ndarray:
        """What a policy's hidden state might show of a difficulty: eight bumps on its scale, with noise."""
        distance = self.prompts.looks_N[index_N, None] - np.linspace(-2, 2, 8)
        return np.exp(-(distance**2)).astype(np.float32)

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        """Perplexities alone: the policy finds odd what looks difficult."""
        return Reading(None, None, -self.prompts.looks_N[index_N].astype(np.float32))

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
        """The update: the lessons of the trained groups, then what is forgotten, then noise."""
        config, trained = self.config, batch.trained_P
        index_P, share_P = batch.groups.index_P[trained], batch.groups.share_P[trained]
        p_P = self._success(index_P, -config.hint_slope * share_P)
        lesson_P = 4 * p_P * (1 - p_P) * (1 - share_P) * batch.groups.informative_P[trained]
        own_C = np.bincount(self.category_N[index_P], weights=lesson_P, minlength=len(self.ability_C))
        lesson_C = (1 - config.transfer) * own_C + config.transfer * lesson_P.sum()
        noise_C = config.ability_noise * self._drift.normal(size=len(self.ability_C))
        kept_C = (1 - config.forgetting) * self.ability_C
        self.ability_C = kept_C + config.learning_rate * lesson_C / len(batch.chosen_B) + noise_C

    def seconds(self, batch: Batch) -> dict[str, float]:
        """What a step takes in simulated seconds, under the names of a trainer's `metrics.jsonl`."""
        parts = {
            "seconds/selection": self.config.seconds_per_candidate * batch.num_candidates,
            "seconds/generation": batch.groups.generation_seconds,
            "seconds/grading": 0.0,
            "seconds/update": self.config.seconds_per_update,
        }
        return {**parts, "seconds/step": sum(parts.values())}


def prepare(curriculum: Curriculum, config: SimulationConfig) -> SimulatedHost:
    """A host whose prompts the curriculum has taken up: ready for step 1.

    Raises:
        ValueError: a setting is impossible, or the curriculum cannot work with these prompts.
    """
    config.validate()
    host = SimulatedHost(config)
    pool = PromptPool(host.rows(), np.arange(len(host.prompts), dtype=np.uint64), seed=config.seed)  # type: ignore[arg-type]
    curriculum.bind(pool, host, config.groups_per_step, config.num_generations)
    return host


def simulate(
    curriculum: Curriculum, config: SimulationConfig, ledger: Writer | None = None
) -> list[dict[str, float]]:
    """Runs a curriculum against the simulated policy.

    It ends after `num_steps`, or earlier where the curriculum's budget is spent.

    Returns:
        One row a step: the funnel, the totals, the calibration, and the policy's true success over the pool
        ("accuracy", see `SimulatedHost.accuracy`). `seconds/...` are the cost model's; the real ones are
        `wall/selection` and `wall/step`.
    """
    return run(curriculum, prepare(curriculum, config), ledger)


def run(curriculum: Curriculum, host: SimulatedHost, ledger: Writer | None = None) -> list[dict[str, float]]:
    """The steps of `simulate`, after `prepare`."""
    config, history = host.config, []
    totals: dict[str, float] = defaultdict(float)
    for step in range(1, config.num_steps + 1):
        start = time.perf_counter()
        batch = collect(curriculum, host, config.groups_per_step, NoLedger() if ledger is None else ledger)
        host.learn(batch)
        row = {"step": step, **funnel(batch), **curriculum.metrics(), **host.seconds(batch)}
        row |= {"wall/selection": batch.selection_seconds, "wall/step": time.perf_counter() - start}
        for name in ("rollouts/spent", "rollouts/trained", "tokens/generated"):
            totals[f"{name}_total"] += row[name]
        totals["seconds/total"] += row["seconds/step"]
        history.append({**row, **totals, "accuracy": host.accuracy()})
        if curriculum.budget is not None and curriculum.budget.is_spent(history[-1]):
            break
    return history


def summarize(history: list[dict[str, float]], ready_seconds: float) -> dict[str, float]:
    """Final accuracy, the totals on the four axes, the mean effective ratio, and what it took this machine.

    Args:
        ready_seconds: of `prepare`.
    """
    last = history[-1]
    return {
        "accuracy": last["accuracy"],
        "steps": last["step"],
        "rollouts": last["rollouts/spent_total"],
        "tokens": last["tokens/generated_total"],
        "seconds": last["seconds/total"],
        "effective_ratio": float(np.mean([row["effective_ratio"] for row in history])),
        "selection_ms_per_step": 1000 * float(np.median([row["wall/selection"] for row in history])),
        "ready_seconds": ready_seconds,
        "peak_resident_mb": peak_resident_mb(),
    }


def peak_resident_mb() -> float:
    """The most memory that this process has held at once, in units of 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where ru_maxrss also counts what the parent held before exec
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
