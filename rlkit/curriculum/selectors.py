"""Selectors: pure functions from predictions to the positions of the candidates worth rolling out.

Each takes `(prediction, num, rng)` and returns min(num, N) distinct positions among the N candidates.
"""

from collections.abc import Callable

import numpy as np

from rlkit.types import Prediction

Selector = Callable[[Prediction, int, np.random.Generator], np.ndarray]


def in_order(prediction: Prediction, num: int, rng: np.random.Generator) -> np.ndarray:
    """The first candidates of the stream: uniform sampling without replacement within a pass."""
    return np.arange(min(num, len(prediction.mean_N)))


def nearest(prediction: Prediction, num: int, rng: np.random.Generator, target: float = 0.5) -> np.ndarray:
    """The candidates whose predicted mean is nearest to `target`, nearest first (PCL, arXiv 2510.01135).

    Ties fall in the order of the stream. Means [.9, .4, .55], num 2 -> [2, 1].
    """
    return np.argsort(np.abs(prediction.mean_N - target), kind="stable")[:num]
