"""Guards our own curriculum: the posterior's closed form, its discount by age, gap, floor, graded rewards."""

from dataclasses import replace

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.fused import Fused
from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.curriculum.scale import Scale
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig, simulate
from rlkit.prompts.pool import make_pool
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups

NUM = 12


class Same:
    """Prompts that look alike, so that only their own history tells them apart."""

    def features(self, index_N):
        return np.tile(np.arange(4, dtype=np.float32), (len(index_N), 1))

    def truth(self, index_N):
        return None


def bound(decay=0.8, repeat_gap=0, scale=None) -> Fused:
    scale = scale or Scale()
    value_model = ValueModel(features="last_state", signal_min=scale.low, signal_max=scale.high)
    fused = Fused(value_model, decay=decay, repeat_gap=repeat_gap, scale=scale)
    fused.bind(make_pool([{"prompt": f"p{i}"} for i in range(NUM)]), Same())
    return fused


def teach(fused, index, signal_PG, step=0, length=5) -> None:
    index, signal_PG = np.asarray(index), np.asarray(signal_PG, dtype=float)
    prediction = fused.predict(index)
    fused.pool.observe(index, step)
    fused.observe(Groups(index, signal_PG, signal_PG, np.full(signal_PG.shape, length)), prediction)


def expected(fused, index, success, failure):
    """Mean, E[p(1-p)] and sd of Beta(strength v + S, strength (1 - v) + F)."""
    v = fused.scale.share(fused.value_model.predict(np.array([index])).mean_N)[0]
    a, b = fused.strength * v + success, fused.strength * (1 - v) + failure
    total = a + b
    spread = a * b / (total * (total + 1))
    return a / total, spread, np.sqrt(spread / total)


def test_untaught_it_is_a_uniform_distribution():
    fused = bound()
    prediction = fused.predict(np.arange(2))
    assert fused.strength == pytest.approx(2)
    np.testing.assert_allclose(prediction.mean_N, 1 / 2)
    np.testing.assert_allclose(prediction.variance_N, 1 / 6)
    np.testing.assert_allclose(prediction.error_N, np.sqrt(1 / 12))


def test_strength_is_matched_by_moments():
    fused = bound()
    teach(fused, [0, 1], [[1, 1, 1, 0], [0, 1, 0, 0]])
    # v (1 - v) was 1/4. Squared errors 1/16 less the flips' own 3/16 / 3 leave nothing: the least, 1e-4.
    assert fused.strength == pytest.approx(0.25 / (0.9 / 12 + 0.1 * 1e-4) - 1)
    teach(fused, [2, 3], [[1, 1, 1, 1], [0, 0, 0, 0]], step=1)
    assert fused.strength < 2, "groups that the value model could not tell apart make it worth less"


@pytest.mark.parametrize("scale", [Scale(), Scale(-1.0, 3.0)])
def test_counts_fall_by_age_in_steps_visited_or_not(scale):
    fused = bound(decay=0.5, scale=scale)

    def signal(shares):
        return scale.low + (scale.high - scale.low) * np.array([shares], dtype=float)

    teach(fused, [2], signal([1, 1, 1, 0]), step=0)
    teach(fused, [5], signal([1, 0, 1, 0]), step=1)
    # Step 2 comes: prompt 2 was counted two steps ago, prompt 5 one.
    for index, success, failure in [(2, 3 / 4, 1 / 4), (5, 1.0, 1.0), (7, 0.0, 0.0)]:
        mean, spread, error = expected(fused, index, success, failure)
        prediction = fused.predict(np.array([index]))
        width = scale.high - scale.low
        np.testing.assert_allclose(prediction.mean_N, scale.low + width * mean)
        np.testing.assert_allclose(prediction.variance_N, width**2 * spread)
        np.testing.assert_allclose(prediction.error_N, width * error)
    teach(fused, [2], signal([0, 0, 0, 0]), step=3)
    mean, *_ = expected(fused, 2, 3 / 16, 1 / 16 + 4 / 2)
    np.testing.assert_allclose(fused.scale.share(fused.predict(np.array([2])).mean_N), mean)


def test_unscorable_groups_leave_the_posterior_alone():
    fused = bound()
    before = fused.predict(np.arange(NUM))
    teach(fused, [1, 2], np.full((2, 4), np.nan))
    after = fused.predict(np.arange(NUM))
    np.testing.assert_array_equal(before.mean_N, after.mean_N)


def test_a_prompt_waits_for_its_gap():
    fused = bound(repeat_gap=2)
    assert fused.admission(np.arange(NUM)).all()
    teach(fused, [3], [[1, 0]], step=0)
    assert np.flatnonzero(fused.admission(np.arange(NUM)) == 0).tolist() == [3]
    teach(fused, [4], [[1, 0]], step=1)
    assert np.flatnonzero(fused.admission(np.arange(NUM)) == 0).tolist() == [3, 4]
    teach(fused, [5], [[1, 0]], step=2)
    assert np.flatnonzero(fused.admission(np.arange(NUM)) == 0).tolist() == [4, 5]


@pytest.mark.parametrize("num_prompts", [16, 20, 64])
def test_batches_are_full_whatever_the_gap(num_prompts):
    config = CurriculumConfig("rlkit", repeat_gap=5)
    host = SimulatedHost(SimulationConfig(num_prompts=num_prompts))
    curriculum = build_curriculum(config)
    curriculum.bind(make_pool([{"prompt": f"p{i}"} for i in range(num_prompts)]), host, 16)
    latest = np.full(num_prompts, -9)
    for step in range(8):
        index = collect(curriculum, host, 16, NoLedger()).groups.index_P
        assert len(set(index.tolist())) == 16
        if num_prompts == 64 and step < 4:
            assert (step - latest[index] > 2).all(), "four batches lie in the pool"
        latest[index] = step


def test_graded_rewards_are_chosen_by_variance_not_by_the_mean():
    """Half of the prompts always earn 1/2, the others flip a coin with p = 1/4."""
    rng = np.random.default_rng(0)
    pool = make_pool([{"prompt": f"p{i}"} for i in range(200)])
    flips = np.arange(200) % 2 == 0

    class Kinds(Same):
        def features(self, index_N):
            return np.eye(3, dtype=np.float32)[flips[index_N].astype(int)]

    config = CurriculumConfig("rlkit", headroom=0.0, explore_share=0.0, value_features="last_state")
    curriculum = build_curriculum(config)
    curriculum.bind(pool, Kinds(), 8)
    for _ in range(15):
        proposal = curriculum.sources[-1].propose(8, np.empty(0, dtype=int))
        coin_PG = (rng.random((8, 8)) < 0.25).astype(float)
        signal_PG = np.where(flips[proposal.index_P, None], coin_PG, 0.5)
        curriculum.sources[-1].observe(
            Groups(proposal.index_P, signal_PG, signal_PG, np.full((8, 8), 5)), proposal
        )
        curriculum.step += 1
    assert flips[proposal.index_P].all()


@pytest.mark.parametrize("num_prompts", [150, 6000])
def test_it_beats_uniform_in_many_passes_and_in_one(num_prompts):
    config = SimulationConfig(num_prompts=num_prompts, num_steps=40, groups_per_step=16, seed=2)
    runs = {name: simulate(build_curriculum(name), config) for name in ("uniform", "rlkit")}
    late = {name: np.mean([row["effective_ratio"] for row in run[10:]]) for name, run in runs.items()}
    assert late["rlkit"] > late["uniform"] + 0.2
    assert runs["rlkit"][-1]["accuracy"] > runs["uniform"][-1]["accuracy"] + 0.01


def test_history_is_worth_something_where_prompts_look_alike():
    """Without any feature the posterior alone finds the informative prompts on a small pool."""
    host_config = SimulationConfig(num_prompts=64, groups_per_step=16, learning_rate=0.0, seed=1)
    blind = CurriculumConfig("rlkit", repeat_gap=0, headroom=0.0, value_features="last_state")
    ratios = {}
    for decay in (0.0, 1.0):
        host = SimulatedHost(host_config)
        curriculum = build_curriculum(replace(blind, decay=decay))
        curriculum.bind(make_pool([{"prompt": f"p{i}"} for i in range(64)]), Same(), 16)
        batches = [collect(curriculum, host, 16, NoLedger()) for _ in range(30)]
        ratios[decay] = np.mean([batch.groups.informative_P.mean() for batch in batches[10:]])
    assert ratios[1.0] > ratios[0.0] + 0.2
