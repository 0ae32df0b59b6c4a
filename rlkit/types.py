"""The words of the step as data: predictions, a proposal, graded groups, a batch.

Shapes are in the names: N candidates, P prompts (one group each), G completions of the largest group.
Everything here is frozen and holds NumPy arrays; this file imports nothing of ours.
"""

from dataclasses import dataclass, replace

import numpy as np

INFORMATIVE_VARIANCE = 1e-6
"""A group whose reward variance is above this has an advantage, and so a gradient."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What an estimator expects of prompts that it may never have seen.

    `mean_N` and `variance_N` are of the signal within a group; `error_N` is the standard error of `mean_N`;
    `length_N` is of a completion, as a multiple of the mean of those predicted with it, None where the
    estimator does not predict it.
    """

    mean_N: np.ndarray
    variance_N: np.ndarray
    error_N: np.ndarray
    length_N: np.ndarray | None = None

    @classmethod
    def neutral(cls, num_prompts: int) -> "Prediction":
        """No opinion: a success rate of one half, as uncertain as a uniform distribution (sd 0.29)."""
        return cls(
            np.full(num_prompts, 0.5), np.full(num_prompts, 0.25), np.full(num_prompts, np.sqrt(1 / 12))
        )

    def take(self, positions: np.ndarray) -> "Prediction":
        length_N = None if self.length_N is None else self.length_N[positions]
        return Prediction(
            self.mean_N[positions], self.variance_N[positions], self.error_N[positions], length_N
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """The prompts chosen for one round of rollouts, with what was predicted of them.

    `count_P` are the completions that each gets in this round, `share_P` how much of its solution is revealed
    to it, 0 for an unaided prompt; left out, all are unaided. `unchosen_P` are those that no prediction
    chose; left out, there are none.
    """

    index_P: np.ndarray
    count_P: np.ndarray
    prediction: Prediction
    num_candidates: int
    seconds: float
    share_P: np.ndarray = None  # type: ignore[assignment]
    unchosen_P: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.share_P is None:
            object.__setattr__(self, "share_P", np.zeros(len(self.index_P)))
        if self.unchosen_P is None:
            object.__setattr__(self, "unchosen_P", np.zeros(len(self.index_P), dtype=bool))

    def take(self, positions: np.ndarray) -> "Proposal":
        return replace(
            self,
            index_P=self.index_P[positions],
            count_P=self.count_P[positions],
            prediction=self.prediction.take(positions),
            share_P=self.share_P[positions],
            unchosen_P=self.unchosen_P[positions],
        )


ABSENT = -1
"""The age of a completion that a group smaller than others does not have."""

PADDING = {"signal_PG": np.nan, "reward_PG": np.nan, "length_PG": 0, "age_PG": ABSENT}


@dataclass(frozen=True, slots=True)
class Groups:
    """Graded groups, one a prompt.

    `signal_PG` is what the curriculum looks at, `reward_PG` what the policy is trained on; NaN means that the
    completion could not be scored, and statistics leave it out. `length_PG` is in tokens. `age_PG` counts the
    generations since a completion was made: 0 is of this one, `ABSENT` fills up a group that is smaller than
    others, whose completions come first. Ages left out are 0. `share_P` is how much of a prompt's solution
    was revealed; left out, nothing was.
    """

    index_P: np.ndarray
    signal_PG: np.ndarray
    reward_PG: np.ndarray
    length_PG: np.ndarray
    generation_seconds: float = 0.0
    grading_seconds: float = 0.0
    age_PG: np.ndarray = None  # type: ignore[assignment]
    share_P: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.age_PG is None:
            object.__setattr__(self, "age_PG", np.zeros(self.signal_PG.shape, dtype=np.int32))
        if self.share_P is None:
            object.__setattr__(self, "share_P", np.zeros(len(self.index_P)))

    def __len__(self) -> int:
        return len(self.index_P)

    @classmethod
    def empty(cls) -> "Groups":
        return cls(np.empty(0, np.int64), np.empty((0, 0)), np.empty((0, 0)), np.empty((0, 0), np.int64))

    @property
    def size_P(self) -> np.ndarray:
        """Completions of each group, scored or not."""
        return (self.age_PG != ABSENT).sum(axis=1)

    @property
    def count_P(self) -> np.ndarray:
        """Scored completions of each group."""
        return (~np.isnan(self.signal_PG)).sum(axis=1)

    @property
    def num_rollouts(self) -> int:
        """Completions generated now: what the groups cost."""
        return int((self.age_PG == 0).sum())

    @property
    def num_tokens(self) -> int:
        """Tokens generated now."""
        return int(self.length_PG[self.age_PG == 0].sum())

    @property
    def mean_P(self) -> np.ndarray:
        """Mean signal of the scored completions, NaN where there are none. [[1, 0, nan]] -> [0.5]"""
        return mean_and_variance(self.signal_PG)[0]

    @property
    def variance_P(self) -> np.ndarray:
        """Biased variance of the signal, NaN where nothing was scored. [[1, 0, nan]] -> [0.25]"""
        return mean_and_variance(self.signal_PG)[1]

    @property
    def informative_P(self) -> np.ndarray:
        """Whether the training reward differs within the group, so that GRPO gets a gradient from it."""
        return np.nan_to_num(mean_and_variance(self.reward_PG)[1]) > INFORMATIVE_VARIANCE

    def take(self, positions: np.ndarray) -> "Groups":
        """Some of the groups, without the seconds that all of them took."""
        columns = {name: getattr(self, name)[positions] for name in ("index_P", "share_P", *PADDING)}
        return Groups(**columns)

    def older(self, by: int = 1) -> "Groups":
        """The same groups `by` generations later."""
        return replace(self, age_PG=np.where(self.age_PG == ABSENT, ABSENT, self.age_PG + by))

    def extended(self, positions: np.ndarray, more: "Groups") -> "Groups":
        """The groups with more completions of those at `positions`, which `more` holds in the same order."""
        size_P = self.size_P
        width = max([self.signal_PG.shape[1], *(size_P[positions] + more.size_P)])
        columns = {name: _widened(getattr(self, name), width, fill) for name, fill in PADDING.items()}
        for row, position in enumerate(positions):
            num = more.size_P[row]
            place = slice(size_P[position], size_P[position] + num)
            for name, column in columns.items():
                column[position, place] = getattr(more, name)[row, :num]
        return Groups(
            self.index_P,
            **columns,
            generation_seconds=self.generation_seconds + more.generation_seconds,
            grading_seconds=self.grading_seconds + more.grading_seconds,
            share_P=self.share_P,
        )

    @classmethod
    def concatenate(cls, parts: list["Groups"]) -> "Groups":
        """All groups in order; the smaller ones are filled up to the size of the largest."""
        if len(parts) == 1:
            return parts[0]
        width = max(part.signal_PG.shape[1] for part in parts)
        return cls(
            index_P=np.concatenate([part.index_P for part in parts]),
            **{
                name: np.concatenate([_widened(getattr(part, name), width, fill) for part in parts])
                for name, fill in PADDING.items()
            },
            generation_seconds=sum(part.generation_seconds for part in parts),
            grading_seconds=sum(part.grading_seconds for part in parts),
            share_P=np.concatenate([part.share_P for part in parts]),
        )


def _widened(column_PG: np.ndarray, width: int, fill: float) -> np.ndarray:
    """A copy with `fill` on the right, `width` columns in all."""
    missing = width - column_PG.shape[1]
    return np.pad(column_PG, ((0, 0), (0, missing)), constant_values=fill)


REPLAYED = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of collecting ends in: every graded group, and which of them the update gets.

    `chosen_B` are positions into `groups`, of constant number B; `weight_B` is 0.0 where a group only pads
    the batch (fill policy "shrink"). `reason_P` is "kept", or why the filter or the fill left the group
    out, or "reference" where a probe rolled it out. `round_P` is `REPLAYED` for groups of earlier steps that
    are trained on again.
    """

    groups: Groups
    prediction: Prediction
    round_P: np.ndarray
    reason_P: np.ndarray
    chosen_B: np.ndarray
    weight_B: np.ndarray
    num_candidates: int
    num_rounds: int
    fill: str
    selection_seconds: float

    @property
    def trained_P(self) -> np.ndarray:
        trained = np.zeros(len(self.groups), dtype=bool)
        trained[self.chosen_B[self.weight_B > 0]] = True
        return trained


def mean_and_variance(value_PG: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each row without its NaNs; NaN for a row that has nothing else."""
    scored_PG = ~np.isnan(value_PG)
    count_P = scored_PG.sum(axis=1)
    divisor_P = np.where(count_P > 0, count_P, 1)
    mean_P = np.where(scored_PG, value_PG, 0.0).sum(axis=1) / divisor_P
    deviation_PG = np.where(scored_PG, value_PG - mean_P[:, None], 0.0)
    variance_P = (deviation_PG**2).sum(axis=1) / divisor_P
    return np.where(count_P > 0, mean_P, np.nan), np.where(count_P > 0, variance_P, np.nan)
