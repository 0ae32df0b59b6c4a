"""Finds the prompts of a round again among those that were last predicted."""

import numpy as np


def positions_among(index_N: np.ndarray, index_P: np.ndarray) -> np.ndarray:
    """Where `index_P` stand in `index_N`, which holds all of them once. [7, 5], [5] -> [1]"""
    order = np.argsort(index_N)
    place = np.searchsorted(index_N, index_P, sorter=order)
    positions = order[np.minimum(place, len(order) - 1)]
    assert np.array_equal(index_N[positions], index_P), "each stands among them"
    return positions
