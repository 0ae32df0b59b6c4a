"""The signal's range: estimators count in shares of it, predictions are on the signal's own scale."""

from dataclasses import dataclass

import numpy as np

from rlkit.types import Prediction


@dataclass(frozen=True, slots=True)
class Scale:
    """The signal lies in low to high."""

    low: float = 0.0
    high: float = 1.0

    def share(self, value: np.ndarray) -> np.ndarray:
        """Values as shares of the range. 1.0 of [0, 2] -> 0.5"""
        return np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0)

    def value(self, share: float) -> float:
        """A share of the range as a value. 0.5 of [0, 2] -> 1.0"""
        return self.low + share * (self.high - self.low)

    def prediction(self, mean_N: np.ndarray, variance_N: np.ndarray, error_N: np.ndarray) -> Prediction:
        """Mean, variance and standard error, given in shares, on the signal's scale."""
        width = self.high - self.low
        return Prediction(self.low + width * mean_N, width**2 * variance_N, width * error_N)
