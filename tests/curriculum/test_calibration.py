"""Guards the account of the predictions, on values that were worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.calibration import WINDOW, Calibration, spearman
from rlkit.types import Groups, Prediction

NAN = np.nan


def graded(signal_PG) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    return Groups(np.arange(len(signal_PG)), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def predicted(means, variances=None) -> Prediction:
    mean_N = np.asarray(means, dtype=float)
    variance_N = mean_N * (1 - mean_N) if variances is None else np.asarray(variances, dtype=float)
    return Prediction(mean_N, variance_N, np.zeros(len(mean_N)))


@pytest.mark.parametrize(
    ("x", "y", "value"),
    [
        ([1, 2, 3], [1, 4, 9], 1.0),
        ([1, 2, 3], [9, 4, 1], -1.0),
        ([1, 2, 3], [3, 1, 2], -0.5),
        ([1, 2, 2, 3], [1, 3, 2, 4], 4.5 / np.sqrt(4.5 * 5)),  # ranks 1 2.5 2.5 4 and 1 3 2 4
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
        ([0, 0, 1, 1], [0, 0, 5, 5], 1.0),
    ],
)
def test_spearman_with_ties_at_their_average_rank(x, y, value):
    assert spearman(np.array(x), np.array(y)) == pytest.approx(value)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]), ([1], [2])])
def test_spearman_of_a_constant_is_undefined(x, y):
    assert spearman(np.array(x), np.array(y)) is None


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20))
def test_spearman_is_symmetric_bounded_and_blind_to_monotone_maps(pairs):
    x, y = np.array(pairs, dtype=float).T
    value = spearman(x, y)
    if value is not None:
        assert -1 - 1e-12 <= value <= 1 + 1e-12
        assert spearman(y, x) == pytest.approx(value)
        assert spearman(np.exp(x), y**3) == pytest.approx(value)


def test_metrics_by_hand():
    calibration = Calibration()
    calibration.observe(predicted([0.5, 0.75]), graded([[1, 0], [1, 1]]))
    assert calibration.metrics() == pytest.approx(
        {
            # ((0.5^2 + 0.5^2) / 2 + 0.25^2) / 2
            "calibration/brier": 0.15625,
            # 1 - Var(0, 0.25) / Var(0.5, 1)
            "calibration/explained_variance": 0.75,
            "calibration/spearman": 1.0,
            # predicted 0.25 and 0.1875, true 0.25 and 0
            "calibration/variance_rmse": 0.1875 / np.sqrt(2),
        }
    )


def test_explained_variance_forgives_a_constant_bias_and_can_be_negative():
    biased, wrong = Calibration(), Calibration()
    outcome = graded([[0, 0], [1, 0], [1, 1]])
    biased.observe(predicted([0.1, 0.6, 1.1]), outcome)
    wrong.observe(predicted([1.0, 0.5, 0.0]), outcome)
    assert biased.metrics()["calibration/explained_variance"] == pytest.approx(1.0)
    assert wrong.metrics()["calibration/explained_variance"] == pytest.approx(-3.0)


def test_unscored_completions_are_left_out():
    with_gaps, without = Calibration(), Calibration()
    with_gaps.observe(predicted([0.5, 0.9, 0.75]), graded([[1, 0, NAN], [NAN, NAN, NAN], [1, 1, NAN]]))
    without.observe(predicted([0.5, 0.75]), graded([[1, 0], [1, 1]]))
    assert with_gaps.metrics() == without.metrics()


def test_nothing_is_said_of_less_than_two_groups():
    calibration = Calibration()
    assert calibration.metrics() == {}
    calibration.observe(predicted([0.5, 0.5]), graded([[1, 0], [NAN, NAN]]))
    assert calibration.metrics() == {}


def test_constant_predictions_or_outcomes_have_no_correlation():
    neutral, flat = Calibration(), Calibration()
    neutral.observe(predicted([0.5, 0.5]), graded([[1, 0], [1, 1]]))
    flat.observe(predicted([0.4, 0.6]), graded([[1, 0], [0, 1]]))
    assert neutral.metrics().keys().isdisjoint({"calibration/spearman"})
    assert flat.metrics().keys().isdisjoint({"calibration/spearman", "calibration/explained_variance"})


def test_only_the_last_window_counts():
    calibration = Calibration()
    calibration.observe(predicted([0.0] * 5), graded([[1, 1]] * 5))
    calibration.observe(predicted([0.5] * WINDOW), graded([[1, 0]] * WINDOW))
    assert calibration.metrics()["calibration/brier"] == 0.25


def test_state_round_trip():
    first, second = Calibration(), Calibration()
    rng = np.random.default_rng(0)
    first.observe(predicted(rng.random(20)), graded(rng.integers(0, 2, (20, 4))))
    second.load_state_dict(first.state_dict())
    assert second.metrics() == first.metrics()
    for calibration in (first, second):
        calibration.observe(predicted([0.1]), graded([[1, 0, 0, 0]]))
    assert second.metrics() == first.metrics()
