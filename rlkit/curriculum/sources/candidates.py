"""Where a round's candidates come from: the pool's stream, as far as a preset admits its prompts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.prompts.pool import MAX_LOOKS, Admission, PromptPool


class CandidateStream:
    """The pool's stream under a preset's rules.

    Args:
        admission: the probability that a prompt becomes a candidate when the stream reaches it; None admits
            all.
    """

    def __init__(self, admission: Admission | None = None):
        self.admission = admission
        self._counts = {"admitted": 0, "passed_over": 0, "forced": 0}

    def bind(self, pool: PromptPool) -> None:
        self._pool = pool

    def num_admissible(self) -> int:
        """Prompts of the pool that may become candidates now."""
        if self.admission is None:
            return len(self._pool)
        starts = range(0, len(self._pool), MAX_LOOKS)
        parts = (np.arange(start, min(start + MAX_LOOKS, len(self._pool))) for start in starts)
        return sum(int(np.count_nonzero(self.admission(part))) for part in parts)

    def draw(
        self,
        wanted: int,
        least: int,
        exclude: np.ndarray,
        variance: Callable[[np.ndarray], np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The next `wanted` prompts outside of `exclude`; fewer where there are no more.

        Where fewer than `least` are admitted, the least bad of those passed over come too: the most probable
        to be admitted, and of equals the one with the most `variance`, which is asked only then.
        """
        if self.admission is None:
            return self._pool.draw(wanted, exclude)
        index_N, others, probability = self._pool.draw_admitted(wanted, exclude, self.admission, rng)
        forced = others[:0]
        if len(index_N) < least and len(others):
            order = np.lexsort((-variance(others), -probability))
            forced = others[order[: least - len(index_N)]]
        self._counts["admitted"] += len(index_N)
        self._counts["passed_over"] += len(others) - len(forced)
        self._counts["forced"] += len(forced)
        return np.concatenate([index_N, forced])

    def metrics(self) -> dict[str, float]:
        """With an admission rule, running totals of what became of the stream's prompts."""
        if self.admission is None:
            return {}
        return {f"admission/{name}": float(value) for name, value in self._counts.items()}

    def state_dict(self) -> dict[str, Any]:
        return dict(self._counts)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counts = dict(state)
