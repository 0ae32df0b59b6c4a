"""Guards the online difficulty filters: edges that are published as inclusive, and reasons that are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rlkit.curriculum.filters import band, keep_all, top_variance, variance_floor, zero_variance
from rlkit.types import Groups

NAN = np.nan
ANY_SIGNAL = arrays(
    float, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([0.0, 0.3, 1.0, NAN])
)


def graded(signal_PG, reward_PG=None) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    reward_PG = signal_PG if reward_PG is None else np.asarray(reward_PG, dtype=float)
    return Groups(np.arange(len(signal_PG)), signal_PG, reward_PG, np.ones(signal_PG.shape, dtype=int))


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ([1, 1, 1], "all_high"),
        ([0, 0, 0], "all_low"),
        ([1, 0, 1], "kept"),
        ([0.7, 0.7, 0.7], "all_high"),
        ([0.1, 0.1, 0.1], "all_low"),  # 0.1 three times has a variance of rounding only
        ([0.1, 0.1, 0.11], "kept"),
        ([1, NAN, 1], "all_high"),
        ([NAN, NAN, 0], "all_low"),
        ([NAN, 0, 1], "kept"),
        ([NAN, NAN, NAN], "unscorable"),
    ],
)
def test_zero_variance(signals, reason):
    assert zero_variance(graded([signals])).tolist() == [reason]


@pytest.mark.parametrize("num_completions", [5, 10, 15, 20])
def test_the_edges_of_the_band_are_inside(num_completions):
    right = np.arange(num_completions + 1)
    signal_PG = (np.arange(num_completions) < right[:, None]).astype(float)
    expected = np.select(
        [5 * right < num_completions, 5 * right > 4 * num_completions], ["too_hard", "too_easy"], "kept"
    )
    assert band(graded(signal_PG)).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("low", "high", "signals", "reason"),
    [
        (0.2, 0.8, [1, 1, 1, 0], "kept"),
        (0.3, 0.7, [1, 1, 1, 0], "too_easy"),
        (0.3, 0.7, [1, 0, 0, 0], "too_hard"),
        (0.5, 0.5, [1, 1, 0, 0], "kept"),
        (0.0, 1.0, [0, 0, 0, 0], "kept"),
        (0.2, 0.8, [1, NAN, 0, NAN], "kept"),
        (0.2, 0.8, [NAN, NAN, NAN, NAN], "unscorable"),
        (0.0, 1.0, [NAN, NAN, NAN, NAN], "unscorable"),
        (0.2, 0.8, [0.8, 0.8, 0.8], "kept"),  # whose mean in floating point is 0.8000000000000002
        (0.2, 0.8, [0.0, 0.3, 0.3], "kept"),  # and 0.19999999999999998
        (0.2, 0.8, [0.5, 0.5, 0.5, 0.5], "kept"),  # a band is about the mean, whatever the variance
    ],
)
def test_band(low, high, signals, reason):
    assert band(graded([signals]), low, high).tolist() == [reason]


def test_no_filter_keeps_what_cannot_be_scored():
    assert keep_all(graded([[1, 1], [NAN, NAN]])).tolist() == ["kept", "kept"]


@pytest.mark.parametrize("keep", [keep_all, zero_variance, band, variance_floor, top_variance])
def test_filters_look_at_the_signal_not_at_the_shaped_reward(keep):
    signal = [[0, 0], [1, 0], [1, 1]]
    shaped = [[0.3, 0.1], [0.5, 0.5], [0.9, 0.2]]
    assert keep(graded(signal, shaped)).tolist() == keep(graded(signal)).tolist()


@pytest.mark.parametrize("keep", [keep_all, zero_variance, band, variance_floor])
@given(signal_PG=ANY_SIGNAL)
def test_each_group_has_a_reason_that_does_not_depend_on_the_others(keep, signal_PG):
    together = keep(graded(signal_PG))
    alone = [keep(graded(signal_PG[[row]]))[0] for row in range(len(signal_PG))]
    assert together.tolist() == alone
    unscorable = np.isnan(signal_PG).all(axis=1)
    assert keep is keep_all or (together == "unscorable").tolist() == unscorable.tolist()


@given(signal_PG=ANY_SIGNAL)
def test_a_binary_band_within_zero_and_one_is_stricter_than_zero_variance(signal_PG):
    binary = graded(np.where(signal_PG == 0.3, 1.0, signal_PG))
    assert set(np.flatnonzero(band(binary) == "kept")) <= set(np.flatnonzero(zero_variance(binary) == "kept"))


@pytest.mark.parametrize(
    ("num_completions", "floor", "kept"),
    [
        (8, 0.8, [3, 4, 5]),  # k (8 - k) / 16: 0.75 at 2, 0.94 at 3
        (8, 0.75, [2, 3, 4, 5, 6]),
        (8, 0.3, [1, 2, 3, 4, 5, 6, 7]),  # 0.44 at 1
        (5, 1.0, [2, 3]),  # the most that an odd group can have
        (5, 0.6, [1, 2, 3, 4]),  # k (5 - k) / 6: 0.67 at 1
        (16, 1.0, [8]),
    ],
)
def test_variance_floor(num_completions, floor, kept):
    right = (np.arange(num_completions) < np.arange(num_completions + 1)[:, None]).astype(float)
    assert np.flatnonzero(variance_floor(graded(right), floor) == "kept").tolist() == kept
    doubled = variance_floor(graded(2 * right), floor, width=2.0)
    assert np.flatnonzero(doubled == "kept").tolist() == kept


@given(right=st.integers(0, 9), num=st.integers(2, 9), floor=st.floats(0, 1))
def test_variance_floor_is_the_published_ratio(right, num, floor):
    right = min(right, num)
    unbiased = right * (num - right) / (num * (num - 1))
    most = num / (4 * (num - 1)) if num % 2 == 0 else (num + 1) / (4 * num)
    reason = variance_floor(graded([[1.0] * right + [0.0] * (num - right)]), floor)[0]
    if abs(unbiased / most - floor) > 1e-6:
        assert reason == ("kept" if unbiased / most > floor else "low_variance")


def test_what_has_no_variance_floor_to_reach():
    reasons = variance_floor(graded([[1, NAN, NAN], [NAN, NAN, NAN], [1, NAN, 0]]), 0.5)
    assert reasons.tolist() == ["low_variance", "unscorable", "kept"]


@pytest.mark.parametrize(
    ("share", "kept"),
    [(0.2, [2]), (0.25, [2, 4]), (0.4, [2, 4]), (0.6, [1, 2, 4]), (1.0, [0, 1, 2, 3, 4])],
)
def test_top_variance(share, kept):
    signals = [[1, 1, 1, 1], [0.5, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]
    assert np.flatnonzero(top_variance(graded(signals), share) == "kept").tolist() == kept


def test_top_variance_leaves_out_what_cannot_be_scored():
    reasons = top_variance(graded([[NAN, NAN], [1, 1], [NAN, NAN], [1, 0]]), 0.75)
    assert reasons.tolist() == ["unscorable", "kept", "unscorable", "kept"]
