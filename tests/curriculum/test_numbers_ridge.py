"""Guards the regression on numbers: the ridge it says, forgetting, penalties by the evidence."""

import numpy as np
import pytest

from rlkit.curriculum.estimators.numbers_ridge import NumbersRidge


def rounds(num, w_D, rng, noise=0.1, size=16):
    for _ in range(num):
        x_PD = np.concatenate([np.ones((size, 1)), rng.normal(size=(size, len(w_D) - 1))], axis=1)
        yield x_PD, x_PD @ w_D + noise * rng.normal(size=size)


def test_it_is_the_ridge_of_all_rounds_with_the_older_discounted():
    ridge = NumbersRidge(np.zeros(3, dtype=int), half_lives=(32.0,))
    seen = list(rounds(5, np.array([0.2, 1.0, -0.5, 0.0]), np.random.default_rng(0)))
    for x_PD, y_P in seen:
        ridge.learn(x_PD, y_P, np.full(len(y_P), 0.5))
    state = ridge.state_dict()
    x, y = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    weight = 0.5 * np.repeat(0.5 ** (np.arange(4, -1, -1) / 2), 16)
    precision_D = np.append(state["precision_HB"][0, 0], np.repeat(state["precision_HB"][0, 1], 3))
    noise = state["noise_H"][0]
    expected = np.linalg.solve(x.T @ (x * weight[:, None]) + noise * np.diag(precision_D), x.T @ (weight * y))
    np.testing.assert_allclose(ridge.predict(x), x @ expected)


def test_a_block_that_says_nothing_is_shrunk_and_the_noise_is_found():
    ridge = NumbersRidge(np.repeat([0, 1], [3, 40]), half_lives=(8000.0,))
    w_D = np.zeros(44)
    w_D[1:4] = 1, -1, 0.5
    for x_PD, y_P in rounds(40, w_D, np.random.default_rng(0)):
        ridge.learn(x_PD, y_P, np.ones(len(y_P)))
    _, telling, silent = ridge.state_dict()["precision_HB"][0]
    assert telling == pytest.approx(3 / (w_D @ w_D), rel=0.2), "MacKay: gamma / |w|^2"
    assert silent > 100 * telling
    assert ridge.state_dict()["noise_H"][0] == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(("moves", "best"), [(True, 0), (False, 1)])
def test_it_forgets_as_fast_as_the_evidence_says(moves, best):
    ridge, rng = NumbersRidge(np.zeros(4, dtype=int), half_lives=(64.0, 4000.0)), np.random.default_rng(0)
    for number in range(60):
        w_D = np.array([0, np.cos(number / 8 * moves), np.sin(number / 8 * moves), 0, 0])
        for x_PD, y_P in rounds(1, w_D, rng):
            ridge.learn(x_PD, y_P, np.ones(len(y_P)))
    assert ridge.share_H[best] > 0.8


def test_resumed_it_goes_on_to_the_bit():
    first, second = NumbersRidge(np.zeros(4, dtype=int)), NumbersRidge(np.zeros(4, dtype=int))
    seen = list(rounds(6, np.array([0.2, 1.0, -0.5, 0.0, 0.1]), np.random.default_rng(0)))
    for x_PD, y_P in seen[:3]:
        first.learn(x_PD, y_P, np.ones(len(y_P)))
    second.load_state_dict(first.state_dict())
    for ridge in (first, second):
        for x_PD, y_P in seen[3:]:
            ridge.learn(x_PD, y_P, np.ones(len(y_P)))
    np.testing.assert_array_equal(first.predict(seen[0][0]), second.predict(seen[0][0]))


def test_nothing_learned_says_nothing():
    ridge = NumbersRidge(np.zeros(4, dtype=int))
    ridge.learn(np.ones((0, 5)), np.zeros(0), np.zeros(0))
    np.testing.assert_array_equal(ridge.predict(np.ones((3, 5))), 0)
