"""Which categories of a pool are hardly rolled out, and which of them stopped earning while others go on."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import numpy as np

WINDOW = 50
"""Generations that starvation is judged on at most, and `LEAST_WINDOW` at least: as few as make a category
due `STARVED_DUE` groups by its share of the pool. At a true mean of 20, one or none has a probability of 4e-8
(Poisson)."""
LEAST_WINDOW = 10
STARVED_DUE = 20
SHARE = 0.05
"""Of what was due: at or below it a category is starved, or has failed."""
RECENT = 64
"""A category's latest groups, of which the last 8, 16, 32 or 64 are judged."""
FAILED_DUE = 20.0
"""Successes that these should have had by the groups before them."""
MEMORY = 0.98
"""Weight of the past, a group, in what a category earned before."""


class CategoryWatch:
    """The categories of the groups rolled out, with what these earned.

    What a group earned is counted in completions, each its signal above the least of the run as a share of
    the range seen so far.

    Args:
        counts: prompts of each category in the pool.
    """

    def __init__(self, counts: Mapping[str, int]):
        total = sum(counts.values())
        self._share_of = {name: count / total for name, count in counts.items()}
        self._window: deque[Counter[str]] = deque(maxlen=WINDOW)
        self._recent: dict[str, list[list[float]]] = {}
        self._before: dict[str, list[float]] = {}
        self._bounds = [np.inf, -np.inf]
        self._failed: set[str] = set()

    def rolled_out(self, categories: list[str], signal_PG: np.ndarray) -> None:
        """Takes in a generation's groups; a NaN is a completion without a signal."""
        self._window.append(Counter(categories))
        scored = signal_PG[~np.isnan(signal_PG)]
        if len(scored) == 0:
            return
        self._bounds = [min(self._bounds[0], float(scored.min())), max(self._bounds[1], float(scored.max()))]
        for name, signal_G in zip(categories, signal_PG, strict=True):
            signal_G = signal_G[~np.isnan(signal_G)]
            if len(signal_G):
                self._add(name, float(signal_G.sum()), len(signal_G))
        for name in sorted(set(categories)):
            if name in self._recent:
                self._judge(name)

    def _add(self, name: str, total: float, count: int) -> None:
        recent = self._recent.setdefault(name, [])
        recent.append([total, float(count)])
        if len(recent) > RECENT:
            gone = recent.pop(0)
            if (
                name not in self._failed
            ):  # else a category that fails for long would become one that never earned
                before = self._before.setdefault(name, [0.0, 0.0])
                self._before[name] = [MEMORY * old + new for old, new in zip(before, gone, strict=True)]

    def _judge(self, name: str) -> None:
        failed = any(self._has_failed(name, num) for num in (8, 16, 32, RECENT))
        (self._failed.add if failed else self._failed.discard)(name)

    def _has_failed(self, name: str, num: int) -> bool:
        earned, count, rate = self._account(name, num)
        if rate * count < FAILED_DUE or earned > SHARE * rate * count:
            return False
        others = [self._account(other, num) for other in self._recent if other != name]
        due = sum(rate * count for _, count, rate in others)
        kept = sum(earned for earned, _, _ in others) / due if due else 1.0
        expected = min(kept, 1.0) * rate * count
        return expected >= FAILED_DUE and earned <= SHARE * expected

    def _account(self, name: str, num: int) -> tuple[float, float, float]:
        """Of the last `num` groups: successes and completions; and the success rate of the groups before."""
        recent = np.array(self._recent[name])
        total, count = recent[-num:].sum(axis=0)
        earlier = recent[:-num].sum(axis=0) + self._before.get(name, [0.0, 0.0])
        least, width = self._bounds[0], max(self._bounds[1] - self._bounds[0], 1e-9)
        rate = (earlier[0] / earlier[1] - least) / width if earlier[1] else 0.0
        return float(total - least * count) / width, float(count), float(rate)

    def failed(self) -> list[str]:
        """Categories whose latest groups earned a twentieth or less of what those before did, where the
        other categories' did not fall so."""
        return sorted(self._failed)

    def starved(self) -> list[str] | None:
        """Categories with a twentieth or less of the groups that their share of the pool would have given
        them; None while there are too few generations to say."""
        if len(self._window) < LEAST_WINDOW:
            return None
        most = sum(sum(latest.values()) for latest in self._window)
        possible = {name: share for name, share in self._share_of.items() if share * most >= STARVED_DUE}
        counts: Counter[str] = Counter()
        names, judged = [], set()
        for age, latest in enumerate(reversed(self._window), start=1):
            counts += latest
            if age < LEAST_WINDOW:
                continue
            total = sum(counts.values())
            for name, share in possible.items():
                if name not in judged and share * total >= STARVED_DUE:
                    judged.add(name)
                    names += [name] if counts[name] <= SHARE * share * total else []
            if len(judged) == len(possible):
                break
        return sorted(names)

    def state_dict(self) -> dict[str, Any]:
        return {
            "window": [dict(counts) for counts in self._window],
            "recent": self._recent,
            "before": self._before,
            "bounds": self._bounds,
            "failed": sorted(self._failed),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._window = deque(map(Counter, state["window"]), maxlen=WINDOW)
        self._recent = {name: [list(pair) for pair in pairs] for name, pairs in state["recent"].items()}
        self._before = {name: list(pair) for name, pair in state["before"].items()}
        self._bounds, self._failed = list(state["bounds"]), set(state["failed"])
