"""Guards pass@k and the intervals against brute force and textbook values."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.evaluate import bootstrap_interval, pass_at_k, wilson_interval


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_equals_all_draws_counted(case):
    num_samples, num_correct, k = case
    samples = [True] * num_correct + [False] * (num_samples - num_correct)
    draws = [any(draw) for draw in itertools.combinations(samples, k)]
    assert pass_at_k([num_samples], [num_correct], k)[0] == pytest.approx(np.mean(draws))


def test_pass_at_k_of_many_problems_and_samples():
    values = pass_at_k([100_000, 100_000], [0, 100_000], k=1000)
    assert values.tolist() == [0.0, 1.0]
    assert pass_at_k([4, 2], [1, 2], k=1).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("num_samples", "num_correct", "k", "message"),
    [([4], [1], 5, r"k \(5\)"), ([4], [1], 0, r"k \(0\)"), ([4], [5], 1, "counts of correct")],
)
def test_pass_at_k_refuses(num_samples, num_correct, k, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k(num_samples, num_correct, k)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (5, 10, (0.2366, 0.7634)), (1, 1, (0.2065, 1.0))],
)
def test_wilson_interval(successes, trials, expected):
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=1e-4)


def test_wilson_interval_refuses_no_trials():
    with pytest.raises(ValueError, match="num_trials"):
        wilson_interval(0, 0)


def test_bootstrap_interval_is_seeded_and_near_the_normal_one():
    values = np.random.default_rng(0).random(400)
    low, high = bootstrap_interval(values, seed=1)
    assert (low, high) == bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 5)


def test_bootstrap_interval_refuses_nothing():
    with pytest.raises(ValueError, match="empty"):
        bootstrap_interval([], seed=0)
