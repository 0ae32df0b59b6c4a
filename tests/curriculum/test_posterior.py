"""Guards the Beta posterior: the closed form of its counts, what it predicts, its state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.estimators.posterior import Posterior
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups, Prediction

NAN = np.nan


class Blind:
    def features(self, index_N):
        raise AssertionError("nobody asked")

    def truth(self, index_N):
        return None


def bound(num=5, **numbers) -> Posterior:
    posterior = Posterior(**numbers)
    posterior.bind(make_pool([{"prompt": f"p{i}"} for i in range(num)]), Blind())
    return posterior


def graded(index, signal_PG) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    return Groups(np.asarray(index), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def teach(posterior, index, signal_PG) -> None:
    posterior.observe(graded(index, signal_PG), Prediction.neutral(len(index)))


def test_prior_and_counts_by_hand():
    posterior = bound()
    # Beta(1, 1): mean 1/2, E[p(1-p)] 1/6, sd sqrt(1/12). After 3 of 4: Beta(4, 2).
    teach(posterior, [2], [[1, 1, 0, 1]])
    prediction = posterior.predict(np.array([0, 2]))
    np.testing.assert_allclose(prediction.mean_N, [1 / 2, 4 / 6])
    np.testing.assert_allclose(prediction.variance_N, [1 / 6, 4 * 2 / (6 * 7)])
    np.testing.assert_allclose(prediction.error_N, np.sqrt([1 / 12, 4 * 2 / (36 * 7)]))


def test_decay_is_the_papers_update():
    posterior = bound(prior=1.0, decay=0.5)
    teach(posterior, [0], [[1, 1, 1, 0]])
    teach(posterior, [0], [[0, 0, 1, 0]])
    # a <- L a + (1 - L) a0 + s: 1 -> 4 -> 0.5*4 + 0.5 + 1 = 3.5; b: 1 -> 2 -> 1 + 0.5 + 3 = 4.5.
    np.testing.assert_allclose(posterior.predict(np.array([0])).mean_N, [3.5 / 8])
    np.testing.assert_allclose(posterior.predict(np.array([1])).mean_N, [0.5])


@given(
    rounds=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), max_size=12),
    prior=st.floats(0.1, 5),
    decay=st.floats(0, 1),
)
def test_the_posterior_is_its_closed_form(rounds, prior, decay):
    posterior = bound(prior=prior, decay=decay)
    a, b = prior, prior
    for right, num in rounds:
        right = min(right, num)
        teach(posterior, [3], [[1.0] * right + [0.0] * (num - right)])
        a = decay * a + (1 - decay) * prior + right
        b = decay * b + (1 - decay) * prior + num - right
    prediction = posterior.predict(np.array([3]))
    np.testing.assert_allclose(prediction.mean_N, [a / (a + b)], rtol=1e-5)
    np.testing.assert_allclose(prediction.error_N**2, [a * b / (a + b) ** 2 / (a + b + 1)], rtol=1e-5)


def test_graded_signals_count_in_parts_of_the_range():
    posterior = bound(scale=Scale(-1.0, 1.0))
    teach(posterior, [0, 1], [[0.0, 0.0], [1.0, 0.5]])
    # Shares 0.5, 0.5 -> Beta(2, 2); 1, 0.75 -> Beta(2.75, 1.25). On the signal's scale: 2 * mean - 1.
    np.testing.assert_allclose(posterior.predict(np.array([0, 1])).mean_N, [0.0, 2 * 2.75 / 4 - 1])
    np.testing.assert_allclose(posterior.predict(np.array([0])).variance_N, [4 * 2 * 2 / (4 * 5)])


def test_what_cannot_be_scored_counts_for_nothing():
    posterior = bound()
    teach(posterior, [0, 1], [[NAN, NAN], [1, NAN]])
    np.testing.assert_allclose(posterior.predict(np.array([0, 1])).mean_N, [1 / 2, 2 / 3])
    np.testing.assert_array_equal(posterior.measured(np.array([0, 1, 2])), [NAN, 1.0, NAN])


@pytest.mark.parametrize(("decay", "mean"), [(1.0, 0.5), (0.0, 0.25)])
def test_measured_is_over_all_groups_or_of_the_latest(decay, mean):
    posterior = bound(decay=decay)
    teach(posterior, [0], [[1, 1, 0, 1]])
    teach(posterior, [0], [[0, 0, 0, 1]])
    np.testing.assert_allclose(posterior.measured(np.array([0])), [mean])
