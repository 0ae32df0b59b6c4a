"""Guards the comparison of two models on the same problems: brute force, McNemar's test, simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.evaluate.paired import Difference, accuracy_difference, mean_difference, sign_flip_test


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_the_exact_test_counts_all_signs(differences):
    sums = [
        sum(sign * size for sign, size in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    expected = np.mean([abs(value) >= abs(sum(differences)) for value in sums])
    assert sign_flip_test(differences) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_of_one_sample_it_is_mcnemars_exact_test(only_first, only_second, alike):
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1)) / 2**discordant
    differences = [-1] * only_first + [1] * only_second + [0] * alike
    assert sign_flip_test(differences) == pytest.approx(min(1.0, 2 * tail))


def test_textbook_values():
    assert sign_flip_test([1] * 10) == 2 / 2**10
    assert sign_flip_test([-1] + [1] * 9) == 2 * (1 + 10) / 2**10
    assert sign_flip_test([0, 0]) == sign_flip_test([]) == 1.0


def test_it_is_exact_and_quick_for_a_large_benchmark():
    rng = np.random.default_rng(0)
    differences = rng.integers(0, 9, size=1319) * rng.choice([-1, 1], p=[0.45, 0.55], size=1319)
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    assert 1 < z < 3  # where the normal approximation holds, at this size
    assert sign_flip_test(differences) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.05)


def test_the_test_keeps_its_level_and_the_interval_covers():
    """150 pairs of equal models, 60 problems x 4 samples: p < 0.05 in at most about 5% of them."""
    rng = np.random.default_rng(1)
    rejected = covered = 0
    for seed in range(150):
        chance_N = rng.beta(0.5, 0.5, size=60)
        counts = rng.binomial(4, chance_N, size=(2, 60))
        result = accuracy_difference(counts[0].tolist(), 4, counts[1].tolist(), 4, seed)
        assert result.p_value is not None
        rejected += result.p_value < 0.05
        covered += result.interval[0] <= 0 <= result.interval[1]
    assert rejected <= 150 * 0.104  # 0.05 plus three standard errors
    assert covered >= 150 * 0.89


def test_numbers_of_samples_may_differ():
    result = accuracy_difference([1, 2], 2, [4, 3], 4, seed=0)
    assert result.mean == pytest.approx((0.5 - 0.25) / 2)
    assert result.p_value == sign_flip_test([2, -1]) == 1.0
    same = accuracy_difference([1, 0], 1, [4, 0], 4, seed=0)
    assert (same.mean, same.interval, same.verdict) == (0.0, (0.0, 0.0), "no difference shown")


@pytest.mark.parametrize(
    ("interval", "p_value", "verdict"),
    [
        ((0.1, 0.2), 0.01, "higher"),
        ((-0.2, -0.1), 0.01, "lower"),
        ((0.1, 0.2), 0.05, "no difference shown"),  # three problems: the interval alone is no evidence
        ((0.0, 0.2), 0.01, "no difference shown"),
        ((10.0, 20.0), None, "higher"),
    ],
)
def test_verdicts_need_interval_and_test(interval, p_value, verdict):
    assert Difference(sum(interval) / 2, interval, p_value).verdict == verdict


def test_tokens_are_compared_problem_by_problem():
    result = mean_difference([100, 1000, 10], [90, 990, 0], seed=0)
    assert (result.mean, result.interval, result.verdict) == (-10.0, (-10.0, -10.0), "lower")
