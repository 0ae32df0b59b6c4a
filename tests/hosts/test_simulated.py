"""Guards the simulated policy: its formulas, its honesty, and that runs repeat."""

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.hosts.simulated import SimulatedHost, SimulationConfig, simulate
from rlkit.pool import PromptPool
from rlkit.types import Batch, Groups, Prediction, Proposal

SMALL = SimulationConfig(num_prompts=100, num_steps=5, groups_per_step=8)


def proposal_of(index_P) -> Proposal:
    return Proposal(index_P, Prediction.neutral(len(index_P)), len(index_P), 0.0)


def batch_of(reward_PG, weight_B) -> Batch:
    reward_PG = np.array(reward_PG, dtype=float)
    num = len(reward_PG)
    return Batch(
        groups=Groups(np.arange(num), reward_PG, reward_PG, np.ones(reward_PG.shape)),
        prediction=Prediction.neutral(num),
        round_P=np.zeros(num, dtype=int),
        reason_P=np.full(num, "kept", dtype=object),
        chosen_B=np.arange(len(weight_B)),
        weight_B=np.array(weight_B, dtype=float),
        num_candidates=num,
        num_rounds=1,
        fill="full",
        selection_seconds=0.0,
    )


def test_success_is_a_logistic_of_ability_less_difficulty():
    host = SimulatedHost(SimulationConfig(num_prompts=3))
    host.difficulty_N = np.array([0.0, np.log(3), -np.log(3)])
    np.testing.assert_allclose(host.truth(np.arange(3)), [0.5, 0.25, 0.75])
    host.ability_C += np.log(3)
    np.testing.assert_allclose(host.truth(np.array([1])), [0.5])


def test_ability_grows_by_4_p_1_minus_p_of_informative_trained_groups():
    host = SimulatedHost(SimulationConfig(num_prompts=4, learning_rate=0.1))
    host.difficulty_N = np.array([0.0, np.log(3), 0.0, 0.0])
    # Prompt 0 teaches 1, prompt 1 teaches 4 * 0.25 * 0.75, prompt 2 has no gradient, prompt 3 only pads.
    host.learn(batch_of([[1, 0], [0, 1], [1, 1], [1, 0]], weight_B=[1, 1, 1, 0]))
    np.testing.assert_allclose(host.ability_C, 0.1 * (1 + 0.75) / 4)


def test_rollouts_come_out_at_the_success_rates():
    host = SimulatedHost(SimulationConfig(num_prompts=20, num_generations=4000))
    groups = host.rollout(proposal_of(np.arange(20)))
    np.testing.assert_allclose(groups.mean_P, host.truth(np.arange(20)), atol=0.04)
    assert set(np.unique(groups.reward_PG)) <= {0.0, 1.0}


def test_three_prompts_in_five_are_too_easy_or_too_hard():
    p_N = SimulatedHost(SimulationConfig(num_prompts=20_000)).truth(np.arange(20_000))
    assert np.mean((p_N < 0.1) | (p_N > 0.9)) == pytest.approx(0.58, abs=0.02)


def test_features_show_the_difficulty_with_noise_that_is_independent_of_it():
    host = SimulatedHost(SimulationConfig(num_prompts=3000))
    features = host.features(np.arange(3000)).astype(float)
    assert features.shape == (3000, 8)
    # The log ratio of two neighboring bumps is linear in what was seen.
    seen = np.log(features[:, 4] / features[:, 3])
    slope, offset = np.polyfit(seen, host.difficulty_N, 1)
    error = host.difficulty_N - (slope * seen + offset)
    assert error.std() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(host.features(np.array([7, 3])), features[[7, 3]].astype(np.float32))


def test_the_selectors_generator_tells_nothing_of_the_difficulties():
    host = SimulatedHost(SimulationConfig(num_prompts=3000, seed=5))
    shared = np.random.default_rng(5).normal(size=3000)
    assert abs(np.corrcoef(host.difficulty_N, shared)[0, 1]) < 0.1


@pytest.mark.parametrize("name", PRESETS)
def test_runs_repeat_and_seeds_differ(name):
    def outcome(seed):
        config = SimulationConfig(num_prompts=100, num_steps=5, groups_per_step=8, seed=seed)
        return [(row["accuracy"], row["rollouts/spent"]) for row in simulate(build_curriculum(name), config)]

    assert outcome(0) == outcome(0) != outcome(1)


def test_rows_hold_a_measured_rate_of_the_first_policy_and_a_category_that_tells_of_it():
    host = SimulatedHost(SimulationConfig(num_prompts=4000))
    rows = host.rows()
    rate_N = np.array([row["pass_rate"] for row in rows])
    np.testing.assert_array_equal(rate_N * 16, np.round(rate_N * 16))
    p_N = host.truth(np.arange(4000))
    assert np.mean((rate_N - p_N) ** 2) == pytest.approx(np.mean(p_N * (1 - p_N) / 16), rel=0.1)
    names, code_N = np.unique([row["category"] for row in rows], return_inverse=True)
    assert len(names) == 4 and np.bincount(code_N).min() / 4000 > 0.2
    assert (np.diff([p_N[code_N == code].mean() for code in range(4)]) < 0).all()


def test_a_row_a_step_with_the_funnel_the_calibration_and_the_truth():
    history = simulate(build_curriculum("dapo"), SMALL)
    assert [row["step"] for row in history] == [1, 2, 3, 4, 5]
    assert sum(row["rollouts/spent"] for row in history) == history[-1]["rollouts/spent_total"]
    assert {"accuracy", "effective_ratio", "funnel/graded", "calibration/brier", "pool/coverage"} <= history[
        -1
    ].keys()
    assert history[0]["accuracy"] <= history[-1]["accuracy"] <= 1


def test_a_batch_of_the_whole_pool_is_possible():
    config = SimulationConfig(num_prompts=8, num_steps=3, groups_per_step=8)
    assert [row["funnel/graded"] for row in simulate(build_curriculum("dapo"), config)] == [8, 8, 8]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_prompts": 0}, "num_prompts (0) must be at least 1"),
        ({"num_steps": 0}, "num_steps (0) must be at least 1"),
        ({"groups_per_step": -2}, "groups_per_step (-2) must be at least 1"),
        ({"num_generations": 1}, "num_generations (1) must be at least 2: a group of one has no advantage"),
        ({"difficulty_sd": 0.0}, "difficulty_sd (0.0) must be above 0"),
        ({"num_prompts": 20}, "the pool has 20 prompts, fewer than the 32 of one batch"),
    ],
)
def test_impossible_simulations(settings, message):
    with pytest.raises(ValueError) as error:
        simulate(build_curriculum("uniform"), SimulationConfig(**settings))
    assert message in str(error.value)


def test_a_step_by_hand_is_what_simulate_does():
    host = SimulatedHost(SMALL)
    curriculum = build_curriculum("odf")
    reference = simulate(build_curriculum("odf"), SMALL)
    rows = [{"prompt": str(i)} for i in range(100)]
    curriculum.bind(PromptPool(rows, np.arange(100, dtype=np.uint64), seed=SMALL.seed), host, 8)
    for row in reference:
        host.learn(collect(curriculum, host, 8, NoLedger()))
        assert float(host.truth(np.arange(100)).mean()) == row["accuracy"]
