"""Guards the closed-form head: it is the ridge regression it says, forgets, and knows binary rewards."""

import numpy as np
import pytest

from rlkit.curriculum.estimators.linear_head import EDGE, FORGETTING, PENALTY, WIDTH, LinearHead
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state


class States:
    """Random hidden states of a given width."""

    def __init__(self, width=6, num=80):
        self.state_NH = np.random.default_rng(0).normal(size=(num, width)).astype(np.float32)

    def features(self, index_N):
        return self.state_NH[index_N]

    def truth(self, index_N):
        return None


def head(width=6, seed=0) -> LinearHead:
    linear = LinearHead(seed)
    linear.bind(make_pool([{"prompt": "p"}]), States(width))
    return linear


def taught(linear, num_rounds=3, signals=lambda rng, num: (rng.random((num, 8)) < 0.4).astype(float)):
    """Rounds of 20 prompts; returns what was learned: features and mean of each round."""
    rng, rounds = np.random.default_rng(1), []
    for number in range(num_rounds):
        x_PD = linear.look(np.arange(20 * number, 20 * (number + 1)) % 80)
        signal_PG = signals(rng, 20)
        count = np.full(20, signal_PG.shape[1])
        linear.learn(x_PD, signal_PG.mean(axis=1), signal_PG.var(axis=1, ddof=1), count)
        rounds.append((x_PD, signal_PG.mean(axis=1)))
    return rounds


def test_features_are_the_centered_state_at_unit_length_and_a_constant():
    x_ND = head().look(np.arange(5))
    np.testing.assert_allclose(np.linalg.norm(x_ND[:, :-1], axis=1), 1)
    np.testing.assert_allclose(x_ND[:, :-1].sum(axis=1), 0, atol=1e-7)
    np.testing.assert_array_equal(x_ND[:, -1], 1)


def test_the_mean_is_ridge_regression_on_all_rounds_with_the_older_ones_discounted():
    linear = head()
    rounds = taught(linear)
    weight = np.repeat(FORGETTING ** np.array([2.0, 1.0, 0.0]) * 8 / 9, 20)
    x = np.concatenate([x_PD for x_PD, _ in rounds])
    y = np.concatenate([mean for _, mean in rounds]) - 0.5
    expected = np.linalg.solve(x.T @ (x * weight[:, None]) + PENALTY * np.eye(7), x.T @ (weight * y))
    np.testing.assert_allclose(linear.predict(x)[0], np.clip(0.5 + x @ expected, EDGE, 1 - EDGE))


def test_before_any_outcome_it_has_no_opinion():
    mean_N, variance_N = head().predict(np.ones((3, 7)))
    np.testing.assert_array_equal(mean_N, 0.5)
    np.testing.assert_array_equal(variance_N, 0.25)


def test_binary_rewards_have_exactly_the_variance_of_their_mean():
    linear = head()
    taught(linear, num_rounds=10)
    mean_N, variance_N = linear.predict(linear.look(np.arange(80)))
    np.testing.assert_allclose(variance_N, mean_N * (1 - mean_N), rtol=1e-9)


def test_graded_rewards_have_the_dispersion_that_they_show():
    """A quarter of a coin flip's variance: 1/2 plus half of a flip about 0."""
    linear = head()
    taught(linear, 40, lambda rng, num: 0.25 + 0.5 * (rng.random((num, 8)) < 0.5))
    mean_N, variance_N = linear.predict(linear.look(np.arange(80)))
    assert variance_N / (mean_N * (1 - mean_N)) == pytest.approx(0.25, abs=0.08)


def test_groups_of_one_completion_are_no_evidence_of_dispersion():
    linear = head()
    x_PD = linear.look(np.arange(20))
    linear.learn(x_PD, np.tile([0.0, 1.0], 10), np.zeros(20), np.ones(20, dtype=int))
    mean_N, variance_N = linear.predict(x_PD)
    np.testing.assert_allclose(variance_N, mean_N * (1 - mean_N))


def test_wide_states_are_projected_and_still_tell_prompts_apart():
    linear = head(width=WIDTH + 100)
    assert linear.look(np.arange(4)).shape == (4, WIDTH + 1)
    taught(linear, 4, lambda rng, num: np.tile(np.arange(num)[:, None] % 2, 8).astype(float))
    mean_N = linear.predict(linear.look(np.arange(80)))[0]
    assert mean_N[1::2].min() > 0.5 > mean_N[::2].max()
    np.testing.assert_array_equal(head(WIDTH + 100).look(np.arange(4)), linear.look(np.arange(4)))


@pytest.mark.parametrize("num_rounds", [0, 3])
def test_state_round_trip_to_the_bit(num_rounds, tmp_path):
    first, second = head(), head()
    taught(first, num_rounds)
    save_state(tmp_path, "head", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "head"))
    for linear in (first, second):
        taught(linear, 2)
    for one, other in zip(first.predict(np.eye(7)), second.predict(np.eye(7)), strict=True):
        np.testing.assert_array_equal(one, other)
