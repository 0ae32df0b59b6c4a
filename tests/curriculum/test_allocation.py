"""Guards the allocations: totals that add up, exact optima, even shares where nothing tells prompts apart."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.allocation import ALLOCATIONS, LEAST, cures, knapsack, vip
from rlkit.curriculum.scale import Scale
from rlkit.types import Prediction


def predicted(*means) -> Prediction:
    mean_N = np.array(means, dtype=float)
    return Prediction(mean_N, mean_N * (1 - mean_N), np.zeros(len(mean_N)))


@pytest.mark.parametrize("name", ALLOCATIONS)
@given(means=st.lists(st.floats(0, 1), min_size=1, max_size=12), group_size=st.integers(2, 16))
def test_counts_add_up_and_nobody_gets_less_than_two(name, means, group_size):
    total = len(means) * group_size
    count_P = ALLOCATIONS[name](predicted(*means), total)
    assert count_P.sum() == total and count_P.min() >= LEAST


@pytest.mark.parametrize("name", ALLOCATIONS)
@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0])
def test_equal_prompts_get_equal_shares(name, mean):
    assert ALLOCATIONS[name](predicted(*[mean] * 5), 40).tolist() == [8] * 5


def best(value, num, total):
    """The best sum of `value(prompt, size)` over all ways to share out `total`."""
    shares = (share for share in product(range(LEAST, total), repeat=num) if sum(share) == total)
    return max(sum(value(prompt, size) for prompt, size in enumerate(share)) for share in shares)


def test_knapsack_is_the_optimum_of_its_formula():
    p = [0.1, 0.5, 0.9]

    def value(prompt, size):
        rate = p[prompt]
        return (1 - rate**size - (1 - rate) ** size) * rate * (1 - rate) ** 2

    count_P = knapsack(predicted(*p), 18)
    assert sum(map(value, range(3), count_P.tolist())) == pytest.approx(best(value, 3, 18))
    # Hard prompts need more to show a difference at all; one half needs few; easy ones weigh little.
    assert count_P.tolist() == [10, 6, 2]


def test_vip_is_the_optimum_of_its_formula():
    p = [0.1, 0.5, 0.9]

    def value(prompt, size):
        return -p[prompt] * (1 - p[prompt]) / (size - 1)

    count_P = vip(predicted(*p), 18)
    assert sum(map(value, range(3), count_P.tolist())) == pytest.approx(best(value, 3, 18))
    # n - 1 goes as the standard deviation: .3, .5, .3 of 15 and one each.
    assert count_P.tolist() == [5, 8, 5]


def test_cures_goes_as_the_standard_deviation():
    assert cures(predicted(0.1, 0.5, 0.9), 22).tolist() == [6, 10, 6]
    assert cures(predicted(0.0, 0.5), 16).tolist() == [2, 14]


def test_the_signals_range_does_not_matter():
    scale = Scale(-1.0, 3.0)
    mean_N = np.array([0.1, 0.5, 0.9])
    scaled = scale.prediction(mean_N, mean_N * (1 - mean_N), np.zeros(3))
    for rule in ALLOCATIONS.values():
        assert rule(scaled, 24, scale=scale).tolist() == rule(predicted(*mean_N), 24).tolist()
