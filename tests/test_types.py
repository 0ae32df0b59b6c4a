"""Guards the group statistics that every filter, estimator and metric stands on."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rlkit.types import Batch, Groups, Prediction, mean_and_variance

NAN = np.nan


def graded(signal_PG, reward_PG=None, first_index=0) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    reward_PG = signal_PG if reward_PG is None else np.asarray(reward_PG, dtype=float)
    index_P = np.arange(first_index, first_index + len(signal_PG))
    return Groups(index_P, signal_PG, reward_PG, np.ones(signal_PG.shape, dtype=int), 1.0, 0.5)


@pytest.mark.parametrize(
    ("values", "mean", "variance"),
    [
        ([1, 0, 0, 0], 0.25, 0.1875),
        ([1, 1, 1, 1], 1.0, 0.0),
        ([1, 0, NAN, NAN], 0.5, 0.25),
        ([2, 5, NAN, 5], 4.0, 2.0),
        ([NAN, NAN, NAN, 0.3], 0.3, 0.0),
        ([NAN, NAN, NAN, NAN], NAN, NAN),
        ([-1, 1, -1, 1], 0.0, 1.0),
    ],
)
def test_mean_and_biased_variance_leave_nan_out(values, mean, variance):
    means, variances = mean_and_variance(np.array([values], dtype=float))
    np.testing.assert_allclose(means, [mean])
    np.testing.assert_allclose(variances, [variance], atol=1e-15)


@given(arrays(float, array_shapes(min_dims=2, max_dims=2), elements=st.floats(-100, 100)))
def test_without_nan_they_are_numpys(value_PG):
    mean_P, variance_P = mean_and_variance(value_PG)
    np.testing.assert_allclose(mean_P, value_PG.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(variance_P, value_PG.var(axis=1), atol=1e-9)


@given(arrays(float, array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([0.0, 1.0, NAN])))
def test_binary_variance_is_mean_times_one_minus_mean(value_PG):
    mean_P, variance_P = mean_and_variance(value_PG)
    np.testing.assert_allclose(variance_P, mean_P * (1 - mean_P), atol=1e-12)


@settings(max_examples=50)
@given(
    arrays(float, (3, 4), elements=st.floats(0, 1, allow_subnormal=False)),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_a_group_is_its_own_affair(value_PG, row, column):
    changed_PG = value_PG.copy()
    changed_PG[row, column] = NAN
    others = np.arange(3) != row
    for before, after in zip(mean_and_variance(value_PG), mean_and_variance(changed_PG), strict=True):
        np.testing.assert_array_equal(before[others], after[others])


def test_informative_looks_at_the_training_reward():
    signal = [[1, 1], [1, 0], [NAN, NAN], [0, 0]]
    reward = [[1.2, 1.1], [0.5, 0.5], [NAN, NAN], [0.0, 1e-4]]
    np.testing.assert_array_equal(graded(signal, reward).informative_P, [True, False, False, False])


def test_count_is_of_scored_completions():
    np.testing.assert_array_equal(graded([[1, NAN, 0], [NAN, NAN, NAN]]).count_P, [2, 0])


def test_neutral_is_a_uniform_distribution():
    neutral = Prediction.neutral(3)
    np.testing.assert_array_equal(neutral.mean_N, [0.5] * 3)
    np.testing.assert_array_equal(neutral.variance_N, [0.25] * 3)
    np.testing.assert_allclose(neutral.error_N, np.sqrt(1 / 12))


def test_take_keeps_the_three_numbers_together():
    prediction = Prediction(
        np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])
    )
    taken = prediction.take(np.array([2, 0]))
    np.testing.assert_array_equal(taken.mean_N, [0.3, 0.1])
    np.testing.assert_array_equal(taken.variance_N, [3.0, 1.0])
    np.testing.assert_array_equal(taken.error_N, [30.0, 10.0])


def test_concatenate_joins_rows_and_adds_seconds():
    parts = [graded([[1, 0]]), graded([[0, 0], [1, NAN]], first_index=5)]
    both = Groups.concatenate(parts)
    np.testing.assert_array_equal(both.index_P, [0, 5, 6])
    np.testing.assert_array_equal(both.signal_PG, [[1, 0], [0, 0], [1, NAN]])
    assert both.length_PG.shape == (3, 2)
    assert (both.generation_seconds, both.grading_seconds) == (2.0, 1.0)


def test_padding_is_not_trained_on():
    batch = Batch(
        groups=graded([[1, 0]] * 4),
        prediction=Prediction.neutral(4),
        round_P=np.zeros(4, dtype=int),
        reason_P=np.array(["kept", "all_low", "kept", "all_low"], dtype=object),
        chosen_B=np.array([0, 2, 1]),
        weight_B=np.array([1.0, 1.0, 0.0]),
        num_candidates=4,
        num_rounds=1,
        fill="shrink",
        selection_seconds=0.0,
    )
    np.testing.assert_array_equal(batch.trained_P, [True, False, True, False])


def test_types_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Prediction.neutral(1).mean_N = np.zeros(1)  # type: ignore[misc]
