"""Guards DOTS: the attention's and the calibration's numbers, what it learns, references, exact state."""

import numpy as np
import pytest
import torch

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.attention_head import AttentionHead
from rlkit.curriculum.estimators.dots import Dots
from rlkit.curriculum.estimators.positions import positions_among
from rlkit.curriculum.scale import Scale
from rlkit.hosts.simulated.host import SimulationConfig, simulate
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Prediction

NUM = 96
NAN = np.nan
EVERYTHING = np.arange(NUM)


class Bumps:
    """Prompts on a line of success rates; features are bumps along it."""

    p_N = np.linspace(0.02, 0.98, NUM)

    def features(self, index_N):
        return np.exp(-((self.p_N[index_N, None] - np.linspace(0, 1, 6)) ** 2) * 10).astype(np.float32)

    def truth(self, index_N):
        return None


class Table:
    """Features of one's own."""

    def __init__(self, features_ND):
        self.features_ND = np.array(features_ND, dtype=np.float32)

    def features(self, index_N):
        return self.features_ND[index_N]

    def truth(self, index_N):
        return None


def pool_of(numbers):
    return make_pool([{"prompt": f"p{i}"} for i in numbers])


def dots(senses=None, num=NUM, **settings) -> Dots:
    estimator = Dots(**settings)
    estimator.bind(pool_of(range(num)), senses or Bumps())
    return estimator


def graded(index_P, signal_PG) -> Groups:
    signal_PG = np.array(signal_PG, dtype=float)
    return Groups(np.array(index_P), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def flips(rng, index_P, p_N=Bumps.p_N) -> Groups:
    return graded(index_P, rng.random((len(index_P), 8)) < p_N[index_P, None])


def teach(estimator, num_rounds=10, seed=0) -> None:
    """Rounds of a third of the prompts, a third of them as references at every second."""
    rng = np.random.default_rng(seed)
    for number in range(num_rounds):
        if number % 2 == 0:
            estimator.learn_references(flips(rng, rng.permutation(NUM)[: NUM // 3]))
        index_P = rng.permutation(NUM)[: NUM // 3]
        prediction = estimator.predict(index_P)
        estimator.observe(flips(rng, index_P), prediction)


def same(first: Prediction, second: Prediction) -> None:
    np.testing.assert_array_equal(first.mean_N, second.mean_N)
    np.testing.assert_array_equal(first.error_N, second.error_N)


# Centered by the references' mean, (0, 0, 0, 0), and scaled, these are as they are: q.r / sqrt(4) is 2 for
# the same direction, -2 for the opposite and 0 for the orthogonal one.
LEFT, RIGHT, ACROSS = [1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]


def test_attention_of_two_references_by_hand():
    estimator = dots(Table([LEFT, RIGHT, LEFT, RIGHT, ACROSS]), num=5)
    estimator.learn_references(graded([0, 1], [[1, 1, 1, 0], [0, 0, 0, 1]]))
    prediction = estimator.predict(np.array([2, 3, 4]))
    near = np.exp(2) / (np.exp(2) + np.exp(-2))
    base = np.array([near * 0.75 + (1 - near) * 0.25, near * 0.25 + (1 - near) * 0.75, 0.5])
    np.testing.assert_allclose(prediction.mean_N, base, atol=1e-4)
    np.testing.assert_allclose(prediction.variance_N, base * (1 - base), atol=1e-4)
    squares = np.array([near**2 + (1 - near) ** 2] * 2 + [0.5])
    np.testing.assert_allclose(prediction.error_N, np.sqrt(base * (1 - base) * squares), atol=1e-4)


def test_predictions_are_on_the_signals_scale():
    estimator = dots(Table([LEFT, RIGHT, ACROSS]), num=3, scale=Scale(-1.0, 1.0))
    assert estimator.predict(np.array([2])).mean_N.tolist() == [0.0]
    estimator.learn_references(graded([0, 1], [[1, 1, 1, 1], [-1, -1, 1, 1]]))
    np.testing.assert_allclose(estimator.predict(np.array([2])).mean_N, 0.5, atol=1e-4)


def test_calibration_by_hand():
    """sigmoid(logit(base) / temperature + bias): a softplus and a tanh of a net of mean and deviation."""
    head = AttentionHead(8, 3e-3, 1, 1, 0)
    reference, share = np.array([LEFT, RIGHT], dtype=np.float32), np.array([0.9, 0.5])
    query = np.array([ACROSS], dtype=np.float32)
    np.testing.assert_allclose(head.predict(query, reference, share)[0], 0.7, atol=1e-5)
    first, _, last = head._net["calibration"]
    with torch.no_grad():
        # The hidden units: mean 0.7 and standard deviation 0.2, in tenths.
        first.weight.zero_()
        first.bias.zero_()
        first.weight[0, 0], first.weight[1, 1] = 10.0, 10.0
        last.weight[0, 0], last.weight[1, 1], last.bias[:] = 0.2, 0.25, 0.0
    temperature, bias = np.log1p(np.exp(0.2 * 7)), np.tanh(0.25 * 2)
    expected = 1 / (1 + np.exp(-(np.log(0.7 / 0.3) / temperature + bias)))
    np.testing.assert_allclose(head.predict(query, reference, share)[0], expected, atol=1e-5)


def test_before_it_learns_similar_references_weigh_more():
    estimator = dots()
    index = np.arange(0, NUM, 3)
    estimator.learn_references(graded(index, np.repeat(Bumps.p_N[index, None], 4, axis=1)))
    mean_N = estimator.predict(EVERYTHING).mean_N
    assert (np.diff(mean_N) > -1e-3).all() and mean_N[-1] - mean_N[0] > 0.3


class Distracted(Bumps):
    """Many prompts, whose features mean nothing but for 6 of 206."""

    p_N = np.linspace(0.02, 0.98, 1000)
    noise_ND = 0.3 * np.random.default_rng(8).normal(size=(1000, 200)).astype(np.float32)

    def features(self, index_N):
        return np.concatenate([super().features(index_N), self.noise_ND[index_N]], axis=1)


def test_it_learns_which_features_tell():
    """The last rounds' errors on prompts that never taught, with the same references for both."""

    def late_error(estimator):
        senses, rng, errors = Distracted(), np.random.default_rng(0), []
        unseen = np.arange(1, 1000, 2)
        for _ in range(16):
            estimator.learn_references(flips(rng, 2 * rng.permutation(500)[:32], senses.p_N))
            errors.append(np.mean((estimator.predict(unseen).mean_N - senses.p_N[unseen]) ** 2))
            index_P = 2 * rng.permutation(500)[:32]
            estimator.observe(flips(rng, index_P, senses.p_N), estimator.predict(index_P))
        return np.sqrt(np.mean(errors[8:]))

    untaught = late_error(dots(Distracted(), num=1000, learning_rate=1e-9))
    taught = late_error(dots(Distracted(), num=1000))
    assert taught < 0.75 * untaught


def test_no_prompt_learns_from_its_own_outcome():
    """Two references that only ever see each other: each one's target is what the other says."""
    head = AttentionHead(8, 3e-3, 1, 1, 0)
    features = np.array([LEFT, RIGHT], dtype=np.float32)
    head.learn(features, np.array([1.0, 0.0]), features, np.array([1.0, 0.0]), ~np.eye(2, dtype=bool))
    # The first is told by the second alone, 0, kept 1e-4 from it: the cross-entropy is -log(1e-4).
    assert head.loss == pytest.approx(-np.log(1e-4), rel=1e-3)


def test_a_single_reference_teaches_only_others():
    estimator = dots(Table([LEFT, RIGHT]), num=2)
    estimator.learn_references(graded([0], [[1, 0]]))
    prediction = estimator.predict(np.array([0]))
    np.testing.assert_allclose(prediction.mean_N, 0.5, atol=1e-5)
    estimator.observe(graded([0], [[1, 1]]), prediction)
    assert np.isnan(estimator.metrics()["dots/loss"])
    estimator.predict(np.array([1]))
    estimator.observe(graded([1], [[1, 1]]), prediction)
    assert np.isfinite(estimator.metrics()["dots/loss"])


def test_references_are_replaced_and_those_without_a_score_left_out():
    estimator = dots()
    estimator.learn_references(graded([3, 5], [[1, 0], [1, 1]]))
    estimator.learn_references(graded([5, 7, 9], [[NAN, 0], [NAN, NAN], [1, 1]]))
    assert estimator.metrics()["dots/references"] == 2.0
    assert np.flatnonzero(~np.isnan(estimator.state_dict()["share_N"])).tolist() == [5, 9]


def test_without_a_scored_reference_it_has_no_opinion():
    estimator = dots()
    estimator.learn_references(graded([1], [[NAN, NAN]]))
    prediction = estimator.predict(EVERYTHING)
    same(prediction, Prediction.neutral(NUM))
    estimator.observe(graded([0], [[1, 0]]), prediction.take(np.array([0])))
    assert estimator.state_dict()["net"] is None


def test_unscorable_groups_are_not_learned_from():
    one, other = dots(), dots()
    for estimator, index, signals in (
        (one, [1, 2], [[1, 0], [NAN, NAN]]),
        (other, [1], [[1, 0]]),
    ):
        estimator.learn_references(graded([0, 50], [[1, 0], [1, 1]]))
        prediction = estimator.predict(EVERYTHING)
        estimator.observe(graded(index, signals), prediction.take(np.array(index)))
    same(one.predict(EVERYTHING), other.predict(EVERYTHING))


@pytest.mark.parametrize("num_rounds", [0, 1, 7])  # the buffer holds 4
def test_state_round_trip_to_the_bit(num_rounds, tmp_path):
    first, second = dots(), dots(seed=5)
    teach(first, num_rounds)
    save_state(tmp_path, "dots", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "dots"))
    assert len(second.state_dict()["recent"]) == min(num_rounds, 4)
    if num_rounds:
        same(first.predict(EVERYTHING), second.predict(EVERYTHING))
        for estimator in (first, second):
            teach(estimator, num_rounds=3, seed=9)
        same(first.predict(EVERYTHING), second.predict(EVERYTHING))
        assert first.metrics() == second.metrics()


def test_a_checkpoint_of_another_width_is_told():
    with pytest.raises(ValueError, match=r"value_hidden=64, this run asks for 32; resume"):
        dots(hidden=32).load_state_dict(dots().state_dict())


def test_references_follow_their_prompts_into_changed_data():
    first = dots()
    first.learn_references(graded([10, 50], [[1, 0], [1, 1]]))
    pool = first.pool
    second = Dots()
    changed = pool_of(range(40, 140))
    second.bind(changed, Bumps())
    changed.load_state_dict(pool.state_dict(), allow_changed=True)
    second.load_state_dict(first.state_dict())
    share_N = second.state_dict()["share_N"]
    assert np.flatnonzero(~np.isnan(share_N)).tolist() == [10] and share_N[10] == 1.0


def test_making_and_fitting_leave_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    teach(dots(seed=7), num_rounds=2)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_positions_among():
    assert positions_among(np.array([7, 5, 9]), np.array([5, 7])).tolist() == [1, 0]
    assert positions_among(np.array([7, 5]), np.array([], dtype=int)).tolist() == []
    with pytest.raises(AssertionError):
        positions_among(np.array([7, 5]), np.array([6]))


def test_more_references_choose_better_and_a_few_better_than_chance():
    config = SimulationConfig(num_prompts=2000, num_steps=30, groups_per_step=16, seed=3)

    def effective(name, **numbers):
        run = simulate(build_curriculum(CurriculumConfig(name, **numbers)), config)
        return np.mean([row["effective_ratio"] for row in run])

    few, many = effective("dots", references=0.25), effective("dots", references=2.0)
    assert effective("uniform") < 0.6 < 0.75 < few < many - 0.02
