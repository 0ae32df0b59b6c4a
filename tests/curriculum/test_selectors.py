"""Guards the selectors: a published order on known numbers, a choice that is a subset and repeats."""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.scale import Scale
from rlkit.curriculum.selectors import (
    in_order,
    most_gain,
    most_varied,
    nearest,
    softmax,
    thompson,
    thompson_likelihood,
)
from rlkit.types import Prediction


def predicted(means) -> Prediction:
    mean_N = np.asarray(means, dtype=float)
    return Prediction(mean_N, mean_N * (1 - mean_N), np.zeros(len(mean_N)))


@pytest.mark.parametrize(
    ("means", "num", "target", "chosen"),
    [
        ([0.9, 0.4, 0.55], 2, 0.5, [2, 1]),
        ([0.25, 0.75, 0.5, 0.25], 3, 0.5, [2, 0, 1]),  # ties in the order of the stream
        ([0.5, 0.5, 0.5], 2, 0.5, [0, 1]),
        ([0.1, 0.2, 0.9], 1, 0.8, [2]),
        ([0.1, 0.2], 5, 0.5, [1, 0]),  # fewer candidates than asked for
        ([0.3], 0, 0.5, []),
        ([], 3, 0.5, []),
    ],
)
def test_nearest(means, num, target, chosen):
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(nearest(predicted(means), num, rng, target=target), chosen)


@pytest.mark.parametrize(
    ("variances", "num", "chosen"),
    [([0.1, 0.25, 0.2], 2, [1, 2]), ([0.1, 0.25, 0.1, 0.25], 3, [1, 3, 0]), ([0.2], 4, [0]), ([], 2, [])],
)
def test_most_varied(variances, num, chosen):
    variance_N = np.array(variances)
    prediction = Prediction(np.zeros(len(variance_N)), variance_N, np.zeros(len(variance_N)))
    np.testing.assert_array_equal(most_varied(prediction, num, np.random.default_rng(0)), chosen)


def test_ties_among_many_fall_in_the_order_of_the_stream():
    means = np.tile([0.5, 0.25, 0.75, 0.0], 100)
    chosen = nearest(predicted(means), 300, np.random.default_rng(0))
    near = np.arange(400) % 4
    expected = [*np.flatnonzero(near == 0), *np.flatnonzero((near == 1) | (near == 2))]
    np.testing.assert_array_equal(chosen, expected)


def test_in_order_is_the_head_of_the_stream():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(in_order(predicted([0.9, 0.1, 0.5]), 2, rng), [0, 1])
    np.testing.assert_array_equal(in_order(predicted([0.9]), 2, rng), [0])


@pytest.mark.parametrize(
    "select", [in_order, most_gain, most_varied, nearest, softmax, thompson, thompson_likelihood]
)
@given(means=st.lists(st.floats(0, 1), max_size=30), num=st.integers(0, 40), seed=st.integers(0, 3))
def test_a_choice_is_distinct_candidates_as_many_as_there_are_and_deterministic(select, means, num, seed):
    chosen = select(predicted(means), num, np.random.default_rng(seed))
    assert len(chosen) == min(num, len(means))
    assert len(set(chosen.tolist())) == len(chosen)
    assert set(chosen.tolist()) <= set(range(len(means)))
    again = select(predicted(means), num, np.random.default_rng(seed))
    np.testing.assert_array_equal(chosen, again)


@given(
    means=st.lists(st.floats(0, 1), min_size=1, max_size=30), num=st.integers(1, 30), target=st.floats(0, 1)
)
def test_nobody_left_out_is_nearer_than_one_who_was_chosen(means, num, target):
    distance = np.abs(np.array(means) - target)
    chosen = nearest(predicted(means), num, np.random.default_rng(0), target=target)
    left = np.setdiff1d(np.arange(len(means)), chosen)
    assert not len(left) or distance[left].min() >= distance[chosen].max()


def beta(a, b, scale=None) -> Prediction:
    """What is predicted of prompts with these posteriors."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    mean, spread = a / (a + b), a * b / (a + b) / (a + b + 1)
    return (scale or Scale()).prediction(mean, spread, np.sqrt(spread / (a + b)))


@given(
    # Above 1, where NumPy's way of drawing does not switch over a rounding error.
    counts=st.lists(st.tuples(st.floats(1.1, 50), st.floats(1.1, 50)), min_size=1, max_size=20),
    num=st.integers(0, 20),
    target=st.floats(0, 1),
    low=st.floats(-2, 1),
)
def test_thompson_draws_from_the_posterior_and_takes_the_nearest(counts, num, target, low):
    a, b = np.transpose(counts)
    scale = Scale(low, low + 3.0)
    chosen = thompson(beta(a, b, scale), num, np.random.default_rng(4), target=target, scale=scale)
    drawn = np.random.default_rng(4).beta(a, b)
    best = np.sort((drawn - target) ** 2)[:num]
    np.testing.assert_allclose((drawn[chosen] - target) ** 2, best, atol=1e-6)


def test_thompson_tries_what_is_little_known_now_and_then_and_what_is_known_well_rarely():
    prediction = beta([1, 4, 90], [1, 4, 10])  # unknown, about one half, certainly easy
    rng = np.random.default_rng(0)
    firsts = np.bincount([thompson(prediction, 1, rng)[0] for _ in range(2000)], minlength=3) / 2000
    assert 0.2 < firsts[0] < firsts[1] and firsts[2] < 0.01


def test_the_utility_of_likelihood_is_that_of_the_hand_and_greatest_at_its_known_place():
    # With n = 2 it is 2 p (1 - p), the order of the variances.
    means = [0.9, 0.45, 0.2]
    choose = partial(thompson_likelihood, rng=np.random.default_rng(0))
    assert choose(predicted(means), 3, samples=2).tolist() == [1, 2, 0]  # .18, .495, .32
    assert choose(predicted(means), 3, samples=8).tolist() == [2, 1, 0]  # .2, 1.083, 1.264
    grid = np.linspace(0, 1, 1001)
    assert grid[choose(predicted(grid), 1, samples=8)[0]] == pytest.approx(1 - 8 ** (-1 / 7), abs=1e-3)


def test_the_utility_of_likelihood_is_the_mean_size_of_the_advantages():
    rng = np.random.default_rng(1)
    rewards = rng.random((200_000, 8)) < 0.3
    mean = rewards.mean(1, keepdims=True)
    size = np.abs(np.where(mean > 0, (rewards - mean) / np.maximum(mean, 1e-9), 0.0)).mean()
    assert size == pytest.approx(2 * (1 - 0.7**8 - 0.3), abs=5e-3)


def test_thompson_takes_certain_predictions_at_their_word():
    chosen = thompson(predicted([0.9, 0.4, 0.55]), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, [2, 1])


def test_softmax_draws_without_replacement_by_the_distance_from_the_target():
    """Weights e^-|m - 0.5|/t of 1, e^-1 and e^-2: the first pick, and the second after each first."""
    weight = np.exp(-np.arange(3.0))
    weight /= weight.sum()
    means, rng = [0.5, 0.4, 0.7], np.random.default_rng(0)
    pairs = np.zeros((3, 3))
    for _ in range(6000):
        first, second = softmax(predicted(means), 2, rng, temperature=0.1)
        pairs[first, second] += 1 / 6000
    expected = weight[:, None] * weight / (1 - weight[:, None]) * (1 - np.eye(3))
    np.testing.assert_allclose(pairs, expected, atol=0.02)


def test_softmax_looks_at_shares_of_the_signals_range():
    scale = Scale(-1.0, 3.0)
    prediction = scale.prediction(np.array([0.9, 0.41, 0.2]), np.ones(3), np.ones(3))
    chosen = softmax(prediction, 2, np.random.default_rng(0), target=0.4, scale=scale)
    np.testing.assert_array_equal(chosen, [1, 2])  # a step of 0.1 is a hundred temperatures


def costing(variances, means, lengths) -> Prediction:
    columns = (
        np.asarray(column, dtype=float) for column in (means, variances, np.zeros(len(means)), lengths)
    )
    return Prediction(*columns)


@pytest.mark.parametrize(
    ("headroom", "chosen"),
    # p(1-p)(1-p)^h of .9, .3, .5, .2: .09 .21 .25 .16; .009 .147 .125 .128; .0009 .1029 .0625 .1024.
    [(0.0, [2, 1]), (1.0, [1, 3]), (2.0, [1, 3])],
)
def test_most_gain_by_hand(headroom, chosen):
    rng = np.random.default_rng(0)
    prediction = predicted([0.9, 0.3, 0.5, 0.2])
    np.testing.assert_array_equal(most_gain(prediction, 2, rng, headroom=headroom), chosen)


def test_most_gain_looks_at_the_variance_where_means_are_alike():
    prediction = costing([0.01, 0.25, 0.1], [0.5, 0.5, 0.5], [1, 1, 1])
    assert most_gain(prediction, 1, np.random.default_rng(0)).tolist() == [1]


def test_most_gain_on_another_range_is_the_same_choice():
    means = np.array([0.9, 0.3, 0.5, 0.2])
    wide = Prediction(-1 + 4 * means, 16 * means * (1 - means), np.zeros(4))
    chosen = most_gain(wide, 2, np.random.default_rng(0), scale=Scale(-1.0, 3.0))
    np.testing.assert_array_equal(chosen, [1, 3])


@given(
    rows=st.lists(st.tuples(st.floats(0.01, 0.25), st.floats(1, 50)), min_size=1, max_size=7),
    num=st.integers(1, 4),
    group_cost=st.floats(0, 3),
)
def test_most_gain_is_the_set_of_the_best_ratio(rows, num, group_cost):
    variances, lengths = np.transpose(rows)
    prediction = costing(variances, np.zeros(len(rows)), lengths)
    chosen = most_gain(prediction, num, np.random.default_rng(0), group_cost=group_cost)
    cost = group_cost + lengths

    def ratio(chosen):
        return variances[list(chosen)].sum() / cost[list(chosen)].sum()

    best = max(map(ratio, combinations(range(len(rows)), min(num, len(rows)))))
    assert ratio(chosen) == pytest.approx(best, rel=1e-6)
