"""Guards pass@k, majority@k, OckScore and the intervals: brute force, hand values, coverage by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.evaluate import bootstrap_interval, majority_at_k, ock_score, pass_at_k, wilson_interval


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


def test_pass_at_k_is_unbiased():
    """Over many draws of 8 samples at success rate p, the mean is 1 - (1 - p)^k; the plug-in's is not."""
    rng = np.random.default_rng(0)
    correct = rng.binomial(8, 0.3, size=40_000)
    for k in (1, 2, 4, 8):
        values = pass_at_k(np.full(40_000, 8), correct, k)
        assert values.mean() == pytest.approx(1 - 0.7**k, abs=4 * values.std() / 200 + 1e-12)
    assert abs((1 - (1 - correct / 8) ** 4).mean() - (1 - 0.7**4)) > 0.04


@pytest.mark.parametrize(
    ("groups", "correct", "k", "expected"),
    [
        ([0, 0, 1], [1, 1, 0], 3, 1),
        ([0, 1, 1], [1, 0, 0], 3, 0),
        ([0, 1, 1], [1, 0, 0], 1, 1 / 3),  # one vote: the accuracy
        ([0, 0, 1], [1, 1, 0], 2, 2 / 3),  # {0,0} right, {0,1} twice a tie
        ([0, 1, 2, 3], [0, 1, 0, 0], 4, 1 / 4),  # a tie of four
        ([0, 0, 1, 1, 2], [1, 1, 0, 0, 0], 5, 1 / 2),
        ([-1, -1, -1, 0], [0, 0, 0, 1], 4, 1),  # no answer never wins over an answer
        ([-1, -1, 0], [0, 0, 1], 2, 2 / 3),
        ([-1, -1], [0, 0], 2, 0),
    ],
)
def test_majority_at_k_by_hand(groups, correct, k, expected):
    assert majority_at_k(groups, [bool(c) for c in correct], k, seed=0) == pytest.approx(expected)


@given(
    st.lists(st.integers(-1, 2), min_size=1, max_size=7).flatmap(
        lambda groups: st.tuples(st.just(groups), st.integers(1, len(groups)), st.integers(-1, 2))
    )
)
def test_majority_at_k_equals_all_votes_counted(case):
    groups, k, right = case
    correct = [group == right for group in groups]

    def vote(drawn):
        answers = [group for group in drawn if group >= 0] or list(drawn)
        best = max(answers.count(answer) for answer in answers)
        winners = {answer for answer in answers if answers.count(answer) == best}
        return (right in winners) / len(winners)

    expected = np.mean([vote(drawn) for drawn in itertools.combinations(groups, k)])
    assert majority_at_k(groups, correct, k, seed=0) == pytest.approx(expected)


def test_majority_at_k_draws_where_subsets_are_many():
    groups = [0] * 20 + [1] * 12
    drawn = majority_at_k(groups, [group == 0 for group in groups], 9, seed=1)
    assert drawn == majority_at_k(groups, [group == 0 for group in groups], 9, seed=1)
    exact = sum(math.comb(20, c) * math.comb(12, 9 - c) for c in range(5, 10)) / math.comb(32, 9)
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 1000) ** 0.5)
    with pytest.raises(ValueError, match=r"k \(3\) must be between 1 and the number of samples, 2"):
        majority_at_k([0, 0], [True, True], 3, seed=0)


def test_ock_score_by_hand():
    assert ock_score(0.5, 0) == 50
    assert ock_score(0.5, 10_000) == pytest.approx(50 - 6.931472, abs=1e-6)  # 10 ln 2
    assert ock_score(1.0, 42_000) == pytest.approx(100 - 16.486586, abs=1e-6)  # 10 ln 5.2
    assert ock_score(0.25, 1_500) == pytest.approx(25 - 1.397619, abs=1e-6)  # 10 ln 1.15


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_wilson_covers(rate):
    successes = np.random.default_rng(0).binomial(50, rate, size=2000)
    intervals = {count: wilson_interval(int(count), 50) for count in set(successes)}
    covered = np.mean([intervals[count][0] <= rate <= intervals[count][1] for count in successes])
    assert 0.92 < covered < 0.99


@pytest.mark.parametrize(
    ("num_problems", "lowest", "highest"), [(10, 0.82, 0.89), (30, 0.91, 0.955), (200, 0.935, 0.965)]
)
def test_the_bootstrap_covers(num_problems, lowest, highest):
    """4 samples of problems that are mostly hard, 1 of 6 right; with few problems the interval is narrow."""
    rng = np.random.default_rng(1)
    covered = []
    for seed in range(2000):
        rates = rng.beta(0.3, 1.5, size=num_problems)
        low, high = bootstrap_interval(rng.binomial(4, rates) / 4, seed)
        covered.append(low <= 1 / 6 <= high)
    assert lowest < np.mean(covered) < highest


def test_the_bootstrap_has_no_width_where_all_problems_agree():
    assert bootstrap_interval([1.0] * 20, seed=0) == (1.0, 1.0)
    assert wilson_interval(20, 20)[0] < 0.84
