"""A feature's numbers on a common scale, and without what is no number.

    x = clip((number - center) / spread, -CLIP, CLIP) / sqrt(K)

Center and spread are those of the first prompts that were looked at, and stay: what was learned keeps its
meaning. So does a policy's state: how it drifts from there is for the regression to follow. Wide features are
projected on `WIDEST` random directions first. NaN and infinite numbers, as half precision gives them, are
counted and stand at the center, which says nothing.
"""

from typing import Any

import numpy as np

CLIP = 6.0
WIDEST = 512
"""Numbers of a feature: a regression on so many costs a tenth of a second a round."""
FLOOR = 0.1
"""Least spread of a number, as a share of the feature's median: a constant one is not blown up."""


class Standardized:
    """Called with (N, K) numbers, it gives (N, `width`) of them; the first call fits it."""

    def __init__(self, seed: int):
        self.seed, self.num_replaced = seed, 0
        self._center_K: np.ndarray | None = None
        self._spread_K: np.ndarray | None = None

    @property
    def num_numbers(self) -> int:
        """Numbers of the feature itself, K."""
        assert self._center_K is not None
        return len(self._center_K)

    @property
    def width(self) -> int:
        return min(self.num_numbers, WIDEST)

    def fit(self, number_NK: np.ndarray) -> None:
        if number_NK.shape[1] == 0:
            self._center_K = self._spread_K = np.zeros(0)
            return
        known_NK = np.where(np.isfinite(number_NK), number_NK, np.nan).astype(float)
        empty_K = np.isnan(known_NK).all(axis=0)
        known_NK[:, empty_K] = 0
        self._center_K = np.nanmean(known_NK, axis=0)
        spread_K = np.nanstd(known_NK, axis=0)
        self._spread_K = np.maximum(spread_K, max(FLOOR * float(np.median(spread_K)), 1e-3))

    def __call__(self, number_NK: np.ndarray) -> np.ndarray:
        if self._center_K is None and len(number_NK):
            self.fit(number_NK)
        if self._center_K is None or number_NK.shape[1] == 0:
            return np.zeros(number_NK.shape)
        finite_NK = np.isfinite(number_NK)
        self.num_replaced += int(finite_NK.size - np.count_nonzero(finite_NK))
        number_NK = np.where(finite_NK, number_NK, self._center_K)
        x_NK = np.clip((number_NK - self._center_K) / self._spread_K, -CLIP, CLIP) / np.sqrt(
            len(self._center_K)
        )
        if x_NK.shape[1] <= WIDEST:
            return x_NK
        rng = np.random.default_rng(self.seed)
        return x_NK @ (rng.normal(size=(x_NK.shape[1], WIDEST)) / np.sqrt(WIDEST))

    def state_dict(self) -> dict[str, Any]:
        return {"center_K": self._center_K, "spread_K": self._spread_K, "num_replaced": self.num_replaced}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_replaced = state["num_replaced"]
        if state["center_K"] is not None:
            self._center_K, self._spread_K = np.array(state["center_K"]), np.array(state["spread_K"])
