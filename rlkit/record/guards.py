"""Signs of collapse in a step's metrics: rules with patience, each warned of once an episode, with advice
that leaves out what the run does already.

The patience of the effective ratio and the share of truncated completions are the field's rules of thumb; the
other numbers are ours. Nothing here changes a run.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.curriculum.presets import PRESETS
from rlkit.curriculum.presets.filtering import FILTERING
from rlkit.curriculum.presets.predicting import PREDICTING
from rlkit.record.categories import CategoryWatch
from rlkit.record.episodes import Episodes
from rlkit.record.reward_watch import RewardWatch

logger = logging.getLogger(__name__)

FIRST_STEPS = 20
"""Steps whose mean entropy is what later entropies are compared with."""


def _without(field: str) -> frozenset[str]:
    """The presets that do not have this setting."""
    return frozenset(name for name, preset in PRESETS.items() if field not in preset.numbers)


@dataclass(frozen=True)
class Rule:
    """An alarm where `column` is alarming in `steps` steps in a row; a step without the column is no news."""

    name: str
    column: str
    alarming: Callable[[float], bool]
    steps: int
    sign: str
    advice: str
    others: tuple[tuple[str, frozenset[str]], ...] = ()
    """More advice, each with what makes it idle: the presets (or "beta", a KL term) that are it already."""


RULES = (
    Rule(
        "effective_ratio",
        "effective_ratio",
        lambda ratio: ratio < 0.05,
        20,
        "fewer than 5% of the trained groups had rewards that differ",
        "their gradient is zero: look whether the reward works, or mix in easier or harder prompts",
        (
            ("take a curriculum that filters (dapo)", frozenset(FILTERING) - {"uniform"}),
            ("take one that predicts (pcl, rlkit)", frozenset(PREDICTING)),
        ),
    ),
    Rule(
        "pool_drained",
        "forced",
        lambda forced: forced > 0,
        5,
        "the curriculum admitted fewer prompts than a batch needs, and took some of the others",
        "the pool is drained: add prompts",
        tuple((f"widen {field}", _without(field)) for field in ("floor", "mastered", "repeat_gap")),
    ),
    Rule(
        "entropy",
        "entropy_share",
        lambda share: share < 0.1,
        20,
        f"the policy's entropy was below a tenth of the mean of the first {FIRST_STEPS} steps",
        "it has stopped exploring: lower learning_rate, or raise epsilon_high or temperature",
        (("add a KL term (beta)", frozenset({"beta"})),),
    ),
    Rule(
        "truncated",
        "completions/clipped_ratio",
        lambda share: share > 0.5,
        5,
        "more than half of the completions were cut off at max_completion_length",
        "they are graded without an end: raise max_completion_length, or reward brevity",
    ),
    Rule(
        "category_starved",
        "starved",
        lambda number: number > 0,
        1,
        "categories of the pool were hardly rolled out",
        "their prompts may be mastered or out of reach, or their grader may fail: look at their rewards in "
        "the ledger, or raise explore_share, which keeps some of every category in the batch",
    ),
    Rule(
        "category_failed",
        "failed",
        lambda number: number > 0,
        1,
        "categories of the pool earned next to nothing of late, and the others go on as before",
        "their grader, sandbox or data may have failed: look at their completions and rewards",
    ),
    Rule(
        "rewards_apart",
        "apart",
        lambda number: number > 0,
        1,
        "a model's reward rose while a rule's fell",
        "the policy may have found what the model overrates: read the completions that it scores best, weigh "
        "the rule more (reward_weights), or go back to a checkpoint from before",
    ),
)


class Guards:
    """The rules over a run.

    Args:
        category_counts: prompts of each category in the pool; empty where the data has no categories.
        in_use: the preset's name, and "beta" where there is a KL term.
        rewards: of a run with rewards of both kinds, a model's and a rule's.
    """

    def __init__(
        self,
        category_counts: Mapping[str, int] | None = None,
        in_use: Iterable[str] = (),
        rewards: RewardWatch | None = None,
    ):
        self._in_use = frozenset(in_use)
        self._episodes, self._step = Episodes(), 0
        self._categories = CategoryWatch(category_counts) if category_counts else None
        self._rewards = rewards
        self._streaks = {rule.name: 0 for rule in RULES}
        self._first: list[float] = []
        self._forced = 0.0

    def rolled_out(self, categories: list[str], signal_PG: np.ndarray) -> None:
        """Takes in the categories of a generation's groups, and their signals."""
        if self._categories is not None:
            self._categories.rolled_out(categories, signal_PG)

    def observe(self, row: Mapping[str, float]) -> dict[str, float]:
        """Takes in a step's metrics. Returns `guards/<name>`, 1 while its alarm lasts."""
        self._step += 1
        if self._rewards is not None:
            self._rewards.observe(row)
        named = self._named()
        row = {**row, **self._derived(row), **{column: len(names) for column, names in named.items()}}
        alarms = {}
        for rule in RULES:
            value, before = row.get(rule.column), self._streaks[rule.name]
            if value is not None and not np.isnan(value):
                self._streaks[rule.name] = before + 1 if rule.alarming(value) else 0
            streak = self._streaks[rule.name]
            of = f" ({', '.join(named[rule.column])})" if rule.column in named else ""
            if streak >= rule.steps and self._episodes.is_news(rule.name + of, self._step):
                advice = self._advice(rule)
                logger.warning("for %d steps %s%s; %s", rule.steps, rule.sign, of, advice)
            alarms[f"guards/{rule.name}"] = float(streak >= rule.steps)
        return alarms

    def _advice(self, rule: Rule) -> str:
        return ", or ".join(
            [rule.advice, *(advice for advice, idle in rule.others if not idle & self._in_use)]
        )

    def _derived(self, row: Mapping[str, float]) -> dict[str, float]:
        """What the rules look at beside the metrics themselves."""
        derived: dict[str, float] = {}
        if "admission/forced" in row:
            derived["forced"] = row["admission/forced"] - self._forced
            self._forced = row["admission/forced"]
        entropy = row.get("entropy")
        if entropy is not None and len(self._first) < FIRST_STEPS:
            self._first.append(entropy)
        elif entropy is not None:
            derived["entropy_share"] = entropy / max(float(np.mean(self._first)), 1e-9)
        return derived

    def _named(self) -> dict[str, list[str]]:
        """The categories and rewards that some rules are about."""
        named = {} if self._rewards is None else {"apart": self._rewards.apart()}
        if self._categories is None:
            return named
        starved = self._categories.starved()
        return {
            **named,
            "failed": self._categories.failed(),
            **({} if starved is None else {"starved": starved}),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "categories": None if self._categories is None else self._categories.state_dict(),
            "rewards": None if self._rewards is None else self._rewards.state_dict(),
            "streaks": dict(self._streaks),
            "first": list(self._first),
            "forced": self._forced,
            "episodes": self._episodes.state_dict(),
            "step": self._step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._categories is not None and state["categories"] is not None:
            self._categories.load_state_dict(state["categories"])
        if self._rewards is not None and state["rewards"] is not None:
            self._rewards.load_state_dict(state["rewards"])
        self._streaks, self._first = dict(state["streaks"]), list(state["first"])
        self._forced, self._step = state["forced"], state["step"]
        self._episodes.load_state_dict(state["episodes"])
