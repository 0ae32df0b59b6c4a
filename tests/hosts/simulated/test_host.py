"""Guards the simulated policy: its formulas, its honesty, and that runs repeat."""

from dataclasses import fields

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig, simulate
from rlkit.prompts.pool import PromptPool
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Batch, Groups, Prediction, Proposal

SMALL = SimulationConfig(num_prompts=100, num_steps=5, groups_per_step=8)


def proposal_of(index_P, count) -> Proposal:
    num = len(index_P)
    return Proposal(index_P, np.full(num, count), Prediction.neutral(num), num, 0.0)


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
    groups = host.rollout(proposal_of(np.arange(20), 4000))
    np.testing.assert_allclose(groups.mean_P, host.truth(np.arange(20)), atol=0.04)
    assert set(np.unique(groups.reward_PG)) <= {0.0, 1.0}


def in_categories(*category_N, **settings) -> SimulatedHost:
    """A host of prompts at p = 0.5 in the categories given."""
    host = SimulatedHost(SimulationConfig(num_prompts=len(category_N), learning_rate=0.1, **settings))
    host.difficulty_N, host.category_N = np.zeros(len(category_N)), np.array(category_N)
    host.ability_C = np.zeros(3)
    return host


@pytest.mark.parametrize(
    ("transfer", "ability_C"),
    [(1.0, [0.1, 0.1, 0.1]), (0.0, [0.05, 0.05, 0.0]), (0.5, [0.075, 0.075, 0.05])],
)
def test_a_lesson_teaches_its_category_and_the_others_a_share(transfer, ability_C):
    host = in_categories(0, 1, transfer=transfer)
    host.learn(batch_of([[1, 0], [0, 1]], weight_B=[1, 1]))
    np.testing.assert_allclose(host.ability_C, ability_C)


def test_abilities_fall_back_to_the_start_unless_lessons_hold_them_up():
    host = in_categories(0, 0, transfer=0.0, forgetting=0.25)
    host.ability_C = np.array([0.4, -0.8, 0.0])
    host.learn(batch_of([[1, 1], [0, 0]], weight_B=[1, 1]))  # no gradient: nothing but forgetting
    np.testing.assert_allclose(host.ability_C, [0.3, -0.6, 0.0])
    host.ability_C = np.array([0.0, 0.4, 0.0])
    host.learn(batch_of([[1, 0], [0, 1]], weight_B=[1, 1]))
    np.testing.assert_allclose(host.ability_C, [0.1, 0.3, 0.0])


def test_ability_noise_is_a_random_walk_of_each_ability():
    host = in_categories(0, ability_noise=0.2)
    flat = batch_of([[1, 1]], weight_B=[1])
    walks = []
    for _ in range(400):
        host.ability_C = np.zeros(3)
        for _ in range(4):
            host.learn(flat)
        walks.append(host.ability_C)
    assert np.std(walks) == pytest.approx(0.4, rel=0.1)  # 0.2 * sqrt(4)
    assert abs(np.corrcoef(np.transpose(walks))[0, 1]) < 0.2


def test_prompt_noise_moves_a_prompt_from_visit_to_visit_and_not_within_one():
    config = SimulationConfig(num_prompts=2000, num_generations=400, prompt_noise=2.0)
    host = SimulatedHost(config)
    host.difficulty_N = np.zeros(2000)
    first, second = (host.rollout(proposal_of(np.arange(2000), 400)).mean_P for _ in range(2))
    logit = np.log((first + 1e-3) / (1 - first + 1e-3))
    assert logit.std() == pytest.approx(2.0, rel=0.1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    np.testing.assert_array_equal(host.truth(np.arange(3)), 0.5)


def test_a_graded_reward_is_the_share_of_parts_that_passed():
    host = SimulatedHost(SimulationConfig(num_prompts=1, num_generations=50_000, reward_parts=4))
    host.difficulty_N = np.array([np.log(3)])  # p = 1/4
    reward = host.rollout(proposal_of(np.zeros(1, dtype=int), 50_000)).reward_PG
    assert set(np.unique(reward)) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert reward.mean() == pytest.approx(0.25, abs=0.01)
    assert reward.var() == pytest.approx(0.25 * 0.75 / 4, rel=0.03)
    assert np.mean(reward == 0) == pytest.approx(0.75**4, abs=0.01)


def test_the_lengths_of_completions_follow_the_difficulty():
    config = SimulationConfig(
        num_prompts=3, num_generations=20_001, length_median=1000, length_slope=np.log(4)
    )
    host = SimulatedHost(config)
    host.difficulty_N = np.array([50.0, 0.0, -50.0])  # p = 0, 1/2, 1
    length_PG = host.rollout(proposal_of(np.arange(3), 20_001)).length_PG
    np.testing.assert_allclose(np.median(length_PG, axis=1), [2000, 1000, 500], rtol=0.02)
    np.testing.assert_allclose(np.log(length_PG).std(axis=1), 0.5, rtol=0.02)
    config.length_median = 0.01
    assert SimulatedHost(config).rollout(proposal_of(np.arange(3), 100)).length_PG.min() == 1


def test_seconds_are_those_of_the_cost_model():
    config = SimulationConfig(
        num_prompts=100,
        num_steps=3,
        groups_per_step=8,
        seconds_per_token=0.01,
        seconds_per_candidate=0.5,
        seconds_per_update=7.0,
    )
    history = simulate(build_curriculum("mopps"), config)
    for row in history:
        assert row["funnel/candidates"] == 96  # 16 a place are more than the pool has: clamped to 12
        assert row["seconds/generation"] == pytest.approx(0.01 * row["tokens/generated"])
        assert row["seconds/step"] == pytest.approx(row["seconds/generation"] + 0.5 * 96 + 7.0)
    assert history[-1]["seconds/total"] == pytest.approx(sum(row["seconds/step"] for row in history))
    budget = CurriculumConfig("mopps", budget=f"seconds={1.5 * history[0]['seconds/step']}")
    assert len(simulate(build_curriculum(budget), config)) == 2


def test_accuracy_of_a_large_pool_is_that_of_a_fixed_sample(monkeypatch):
    host = SimulatedHost(SimulationConfig(num_prompts=500))
    assert host.accuracy() == host.truth(np.arange(500)).mean()
    monkeypatch.setattr("rlkit.hosts.simulated.host.MOST_TESTED", 400)
    host = SimulatedHost(SimulationConfig(num_prompts=500))
    assert host.accuracy() == host.accuracy() != host.truth(np.arange(500)).mean()
    assert host.accuracy() == pytest.approx(host.truth(np.arange(500)).mean(), abs=0.03)


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
        return [
            (row["accuracy"], row["rollouts/spent"], row["seconds/total"])
            for row in simulate(build_curriculum(name), config)
        ]

    assert outcome(0) == outcome(0) != outcome(1)


def test_runs_repeat_with_every_part_of_the_model():
    def outcome(seed):
        config = SimulationConfig(
            num_prompts=100,
            num_steps=5,
            groups_per_step=8,
            transfer=0.3,
            forgetting=0.01,
            ability_noise=0.1,
            prompt_noise=0.5,
            reward_parts=3,
            seed=seed,
        )
        text = CurriculumConfig("pcl", value_features="text")
        return [(row["accuracy"], row["seconds/total"]) for row in simulate(build_curriculum(text), config)]

    assert outcome(0) == outcome(0) != outcome(1)


def test_the_simulators_settings_are_not_the_curriculums():
    simulation, curriculum = (
        {item.name for item in fields(kind)} for kind in (SimulationConfig, CurriculumConfig)
    )
    assert not simulation & curriculum


def test_rows_hold_a_measured_rate_of_the_first_policy_and_a_category_that_tells_of_it():
    host = SimulatedHost(SimulationConfig(num_prompts=4000))
    rows = host.rows()
    rate_N = rows["pass_rate"]
    np.testing.assert_array_equal(rate_N * 16, np.round(rate_N * 16))
    p_N = host.truth(np.arange(4000))
    assert np.mean((rate_N - p_N) ** 2) == pytest.approx(np.mean(p_N * (1 - p_N) / 16), rel=0.1)
    names, code_N = np.unique(rows["category"].astype(str), return_inverse=True)
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
        ({"num_prompts": "1e6"}, "num_prompts ('1e6') must be a whole number"),
        ({"num_steps": 0}, "num_steps (0) must be at least 1"),
        ({"groups_per_step": -2}, "groups_per_step (-2) must be at least 1"),
        ({"num_generations": 1}, "num_generations (1) must be at least 2: a group of one has no advantage"),
        ({"difficulty_sd": 0.0}, "difficulty_sd (0.0) must be above 0"),
        ({"length_median": -1.0}, "length_median (-1.0) must be above 0"),
        ({"reward_parts": 0}, "reward_parts (0) must be at least 1"),
        ({"transfer": 1.5}, "transfer (1.5) must lie in 0 to 1"),
        ({"forgetting": -0.1}, "forgetting (-0.1) must lie in 0 to 1"),
        *(
            ({name: -1.0}, f"{name} (-1.0) must be at least 0")
            for name in (
                "learning_rate",
                "ability_noise",
                "prompt_noise",
                "length_slope",
                "length_sd",
                "seconds_per_token",
                "seconds_per_candidate",
                "seconds_per_update",
                "seed",
            )
        ),
        ({"difficulties": "nowhere.jsonl"}, "data file nowhere.jsonl does not exist"),
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
