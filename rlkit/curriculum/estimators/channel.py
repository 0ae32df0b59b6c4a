"""One feature as the head takes it: terms by rarity, in buckets of their own, and numbers on one scale.

What is measured on a sample of the pool for a feature of rows alone stays: how rare its terms are, the
directions in which they differ (`directions.py`), center and spread of its numbers (`standardized.py`).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.curriculum.estimators.directions import Directions
from rlkit.curriculum.estimators.features import Feature
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed, rarity
from rlkit.curriculum.estimators.standardized import Standardized


class Channel:
    """For a feature that is bound to its pool.

    Args:
        feature: what is looked at.
        place: among the head's features, from 0: which buckets are its own.
        seed: of the random directions of wide features.
    """

    def __init__(self, feature: Feature, place: int, seed: int):
        self.feature, self.scaler, self._place = feature, Standardized(seed), place
        self._rarity_W: np.ndarray | None = None
        self._directions: Directions | None = None

    def fit(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        """Measures a sample of the pool, and gives what `look` shows of it from then on."""
        sample = self.feature.look(index_N, rows)
        self._rarity_W = rarity(sample)
        weighted = sample.weighted(self._rarity_W)
        self._directions = Directions.worth(weighted)
        self.scaler.fit(self._numbers(weighted))
        return self._shown(weighted)

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        part = self.feature.look(index_N, rows)
        if self._rarity_W is not None:
            part = part.weighted(self._rarity_W)
        return self._shown(part)

    def _shown(self, part: Hashed) -> Hashed:
        bucket_E = part.bucket_E + np.int32(self._place * WIDTH)
        return replace(part, bucket_E=bucket_E, number_NK=self.scaler(self._numbers(part)))

    def _numbers(self, part: Hashed) -> np.ndarray:
        """The feature's own, and where its terms lie on the pool's directions."""
        return (
            part.number_NK
            if self._directions is None
            else np.hstack([part.number_NK, self._directions(part)])
        )

    def state_dict(self) -> dict[str, Any]:
        directions = None if self._directions is None else self._directions.state_dict()
        return {
            "scaler": self.scaler.state_dict(),
            "directions": directions,
            "feature": self.feature.state_dict(),
        }

    def check(self, state: dict[str, Any]) -> None:
        """Raises ValueError where a feature of rows alone gave other numbers."""
        if self.feature.static and self.scaler.num_numbers != len(state["scaler"]["center_K"]):
            raise ValueError(
                f"the checkpoint's value model knows {len(state['scaler']['center_K'])} numbers of the "
                f"feature {self.feature.name}, this run {self.scaler.num_numbers}: the data had other "
                "columns or texts; resume with those, or start a new run from the checkpoint's weights "
                "(model_name_or_path)"
            )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scaler.load_state_dict(state["scaler"])
        if self._directions is not None:
            self._directions.load_state_dict(state["directions"])
        self.feature.load_state_dict(state["feature"])
