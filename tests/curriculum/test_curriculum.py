"""Guards the composition: its checks, its rounds, and that a restored one goes on as if never stopped."""

import copy
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, Curriculum, build_curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import zero_variance
from rlkit.curriculum.selectors import nearest
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Prediction

NOTHING = np.empty(0, dtype=np.int64)
GROUPS = 8


def host_of(num_prompts: int = 200) -> SimulatedHost:
    return SimulatedHost(SimulationConfig(num_prompts=num_prompts, seed=1))


def pool_of(prompts):
    """Rows with the columns that presets look at; pass rates cover 0 and 1."""
    return make_pool(
        [
            {
                "prompt": f"prompt {name}",
                "pass_rate": 7 * name % 11 / 10,
                "category": f"kind {name % 3}",
                "tier": ("easy", "medium", "hard")[name % 3],
            }
            for name in prompts
        ],
        seed=4,
    )


def bound(config, host, num_groups=GROUPS) -> Curriculum:
    curriculum = build_curriculum(config)
    curriculum.bind(pool_of(range(host.config.num_prompts)), host, num_groups)
    return curriculum


def step(curriculum, host):
    batch = collect(curriculum, host, GROUPS, NoLedger())
    host.learn(batch)
    return batch


def same(first, second) -> None:
    """Batches of the same choices, predictions and outcomes, to the last bit."""
    np.testing.assert_array_equal(first.groups.index_P, second.groups.index_P)
    np.testing.assert_array_equal(first.groups.reward_PG, second.groups.reward_PG)
    np.testing.assert_array_equal(first.prediction.mean_N, second.prediction.mean_N)
    np.testing.assert_array_equal(first.prediction.variance_N, second.prediction.variance_N)
    np.testing.assert_array_equal(first.prediction.error_N, second.prediction.error_N)
    np.testing.assert_array_equal(first.reason_P, second.reason_P)
    np.testing.assert_array_equal(first.chosen_B, second.chosen_B)
    assert (first.num_rounds, first.fill) == (second.num_rounds, second.fill)


@pytest.mark.parametrize("stop", [0, 1, 5, 26])
@pytest.mark.parametrize("name", [*PRESETS, "pcl-text"])
def test_resuming_from_disk_is_never_having_stopped(name, stop, tmp_path):
    config = CurriculumConfig(
        name.removesuffix("-text"), value_features="text" if name == "pcl-text" else None, curriculum_seed=11
    )
    host = host_of()
    first = bound(config, host)
    for _ in range(stop):
        step(first, host)
    save_state(tmp_path, "curriculum", first.state_dict())
    resumed_host = copy.deepcopy(host)  # the policy; its checkpoint is the trainer's affair

    second = bound(config, resumed_host)
    second.load_state_dict(load_state(tmp_path, "curriculum"))
    for _ in range(4):
        same(step(first, host), step(second, resumed_host))
    assert first.metrics() == second.metrics()


def at_random(prediction, num, rng):
    """A selector of one's own with randomness."""
    return rng.permutation(len(prediction.mean_N))[:num]


def test_a_random_selector_goes_on_where_it_was(tmp_path):
    def make():
        curriculum = Curriculum(Neutral(), [Rounds(at_random, candidates=3)], seed=2)
        curriculum.bind(pool_of(range(200)), host_of(), GROUPS)
        return curriculum

    first, second, unrestored = make(), make(), make()
    for _ in range(3):
        first.sources[-1].propose(GROUPS, NOTHING)
    save_state(tmp_path, "curriculum", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "curriculum"))
    expected = first.sources[-1].propose(GROUPS, NOTHING).index_P
    np.testing.assert_array_equal(second.sources[-1].propose(GROUPS, NOTHING).index_P, expected)
    assert unrestored.sources[-1].propose(GROUPS, NOTHING).index_P.tolist() != expected.tolist()


def test_seeds_differ_and_repeat():
    def choices(seed):
        host = host_of()
        curriculum = build_curriculum(CurriculumConfig("uniform", curriculum_seed=seed))
        rows = [{"prompt": f"prompt {i}"} for i in range(200)]
        curriculum.bind(make_pool(rows, seed=curriculum.seed), host, GROUPS)
        return [step(curriculum, host).groups.index_P.tolist() for _ in range(3)]

    assert choices(0) == choices(0) != choices(1)


@settings(max_examples=50)
@given(
    num_prompts=st.integers(1, 40),
    candidates=st.integers(1, 6),
    num=st.integers(1, 20),
    exclude=st.sets(st.integers(0, 39)),
)
def test_a_proposal_is_distinct_prompts_none_of_them_excluded(num_prompts, candidates, num, exclude):
    exclude = np.array(sorted(index for index in exclude if index < num_prompts), dtype=np.int64)
    curriculum = Curriculum(Neutral(), [Rounds(nearest, candidates=candidates)])
    curriculum.bind(pool_of(range(num_prompts)), host_of(num_prompts), 1)
    proposal = curriculum.sources[-1].propose(num, exclude)
    chosen = proposal.index_P.tolist()
    assert len(set(chosen)) == len(chosen) == min(num, num_prompts - len(exclude))
    assert set(chosen).isdisjoint(exclude.tolist())
    assert len(proposal.prediction.mean_N) == len(chosen) <= proposal.num_candidates
    assert proposal.num_candidates == min(curriculum.sources[-1].candidates * num, num_prompts - len(exclude))


def test_a_pool_smaller_than_a_batch_is_told():
    with pytest.raises(ValueError) as error:
        bound("uniform", host_of(7), num_groups=8)
    message = str(error.value)
    assert "the pool has 7 prompts, fewer than the 8 of one batch" in message
    assert "generation_batch_size / num_generations" in message and "add prompts" in message


def test_too_many_candidates_are_clamped_and_said(caplog):
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        curriculum = bound(CurriculumConfig("oracle", candidates=100), host_of(20))
    assert curriculum.sources[-1].candidates == 2
    assert len(caplog.messages) == 1
    assert "candidates (100) times the 8 prompts of a batch" in caplog.messages[0]
    assert "pool's 20 prompts" in caplog.messages[0] and "clamped to 2" in caplog.messages[0]


def test_candidates_that_just_fit_are_left_alone(caplog):
    assert bound(CurriculumConfig("oracle", candidates=4), host_of(32)).sources[-1].candidates == 4
    assert not caplog.messages


def test_rounds_grow_as_fewer_groups_survive():
    curriculum = Curriculum(Neutral(), [Rounds(filter=zero_variance, max_rounds=5)])
    host = host_of()
    curriculum.bind(pool_of(range(200)), host, GROUPS)
    assert curriculum.sources[-1].round_size(3, 64) == 3
    flat_PG = np.ones((4, 2))
    for _ in range(4):
        proposal = curriculum.sources[-1].propose(4, NOTHING)
        curriculum.sources[-1].observe(Groups(proposal.index_P, flat_PG, flat_PG, flat_PG), proposal)
    # The running keep rate is 0.8^4 = 0.4096.
    assert curriculum.sources[-1].round_size(3, 64) == 8
    assert curriculum.sources[-1].round_size(3, 6) == 6
    for _ in range(40):
        curriculum.sources[-1].observe(Groups(proposal.index_P, flat_PG, flat_PG, flat_PG), proposal)
    assert curriculum.sources[-1].round_size(3, 64) == 30  # never more than tenfold


def test_observing_counts_visits_at_the_step():
    curriculum, host = bound("uniform", host_of()), host_of()
    batches = [step(curriculum, host) for _ in range(3)]
    for number, batch in enumerate(batches):
        np.testing.assert_array_equal(curriculum.pool.last_step_N[batch.groups.index_P], number)
    assert curriculum.pool.visits_N.sum() == 3 * GROUPS


def test_metrics_cover_pool_calibration_and_estimator():
    host = host_of()
    curriculum = bound("pcl", host)
    for _ in range(2):
        step(curriculum, host)
    families = {name.split("/")[0] for name in curriculum.metrics()}
    assert families == {"pool", "signal", "calibration", "guards", "value_model"}
    assert {"calibration/brier", "calibration/spearman", "calibration/explained_variance"} <= set(
        curriculum.metrics()
    )


def test_calibration_is_of_predictions_made_before_the_outcome():
    host = host_of()
    curriculum = bound("pcl", host)
    batch = step(curriculum, host)
    np.testing.assert_array_equal(batch.prediction.mean_N, 0.5)
    assert curriculum.metrics()["calibration/brier"] == 0.25


def test_resuming_with_another_preset_says_both():
    state = bound("uniform", host_of()).state_dict()
    with pytest.raises(ValueError) as error:
        bound("odf", host_of()).load_state_dict(state)
    assert "made with curriculum='uniform', this run asks for 'odf'" in str(error.value)
    assert "resume with the checkpoint's" in str(error.value)


def resumed_on(prompts, allow_changed_data, name="uniform") -> Curriculum:
    host = host_of()
    first = bound(name, host)
    for _ in range(3):
        step(first, host)
    second = build_curriculum(name)
    second.bind(pool_of(prompts), host_of(len(prompts)), GROUPS)
    second.load_state_dict(first.state_dict(), allow_changed_data)
    assert second.step == 3
    for index, prompt in enumerate(prompts):
        assert second.pool.visits_N[index] == (first.pool.visits_N[prompt] if prompt < 200 else 0)
    return second


def test_resuming_with_changed_data_is_an_error():
    with pytest.raises(ValueError, match="allow_changed_data=true"):
        resumed_on(range(100, 250), allow_changed_data=False)


@pytest.mark.parametrize("name", PRESETS)
def test_resuming_with_changed_data_keeps_what_is_known_if_the_user_says_so(name):
    curriculum = resumed_on(range(100, 250), allow_changed_data=True, name=name)
    host = host_of(150)
    assert len(step(curriculum, host).groups) >= GROUPS


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("pcl", "vip", "dots")])
def test_state_round_trips_exactly(name, tmp_path):
    host = host_of()
    first, second = bound(name, host), bound(name, host)
    for _ in range(6):
        step(first, host)
    save_state(tmp_path, "curriculum", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "curriculum"))
    np.testing.assert_equal(second.state_dict(), first.state_dict())


@pytest.mark.parametrize("name", ["mopps", "retire", "pools", "greso"])
def test_per_prompt_statistics_follow_their_prompts_into_changed_data(name):
    host = host_of()
    first = bound(name, host)
    for _ in range(20):
        step(first, host)
    second = build_curriculum(name)
    second.bind(pool_of(range(250, 40, -1)), host_of(210), GROUPS)
    second.load_state_dict(first.state_dict(), True)
    for key, new in second.estimator.state_dict().items():
        if key.endswith("_N"):
            old = first.estimator.state_dict()[key]
            expected = [old[prompt] if prompt < 200 else 0 for prompt in range(250, 40, -1)]
            np.testing.assert_array_equal(new, expected)


def test_numbers_of_a_preset_that_changed_are_told_on_resume(caplog):
    state = bound("mopps", host_of()).state_dict()
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        bound(CurriculumConfig("mopps", decay=0.5), host_of()).load_state_dict(state)
    assert "resuming with other numbers than the checkpoint's: decay 1.0 -> 0.5" in caplog.messages


class Graded(Neutral):
    """Predicts the variance that a table has for each prompt."""

    def __init__(self, variance_N):
        self.variance_N = np.asarray(variance_N, dtype=float)

    def predict(self, index_N):
        neutral = Prediction.neutral(len(index_N))
        return Prediction(neutral.mean_N, self.variance_N[index_N], neutral.error_N)


def admitting(probability_N, variance_N, **numbers) -> Curriculum:
    probability_N = np.asarray(probability_N, dtype=float)
    rounds = Rounds(admission=lambda index_N: probability_N[index_N])
    curriculum = Curriculum(Graded(variance_N), [rounds], **numbers)
    curriculum.bind(pool_of(range(len(probability_N))), host_of(len(probability_N)), 1)
    return curriculum


def test_where_too_few_are_admitted_the_least_bad_follow_and_are_counted():
    curriculum = admitting([0, 1, 0, 1e-9, 0, 0], [0.1, 0, 0.2, 0, 0.05, 0])
    proposal = curriculum.sources[-1].propose(4, NOTHING)
    # The admitted one, the one that might have been, then those with the most variance predicted.
    assert proposal.index_P.tolist() == [1, 3, 2, 0]
    metrics = curriculum.metrics()
    assert (metrics["admission/admitted"], metrics["admission/forced"]) == (1, 3)
    assert metrics["admission/passed_over"] == 2
    assert curriculum.sources[-1].propose(3, np.array([1, 3])).index_P.tolist() == [2, 0, 4]


@settings(max_examples=50)
@given(
    probability=st.lists(st.sampled_from([0.0, 0.2, 1.0]), min_size=2, max_size=30),
    nums=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    exclude=st.sets(st.integers(1, 29)),
)
def test_an_admitting_proposal_is_as_large_as_it_can_be_and_repeats(probability, nums, exclude):
    probability[0] = 1.0
    exclude = np.array(sorted(index for index in exclude if index < len(probability)), dtype=np.int64)
    first, second = (admitting(probability, np.zeros(len(probability)), seed=3) for _ in range(2))
    for num in nums:
        proposal = first.sources[-1].propose(num, exclude)
        chosen = proposal.index_P.tolist()
        assert len(set(chosen)) == len(chosen) == min(num, len(probability) - len(exclude))
        assert set(chosen).isdisjoint(exclude.tolist())
        np.testing.assert_array_equal(second.sources[-1].propose(num, exclude).index_P, chosen)
    assert first.metrics() == second.metrics()


def test_a_run_whose_prompts_are_all_retired_goes_on():
    curriculum = build_curriculum(CurriculumConfig("retire", floor=0.0, mastered=0.0))
    host = host_of(40)
    curriculum.bind(pool_of(range(40)), host, GROUPS)
    for _ in range(8):
        assert len(step(curriculum, host).groups) == GROUPS
    metrics = curriculum.metrics()
    assert metrics["retire/retired"] == 1.0 and metrics["admission/forced"] == 3 * GROUPS


def test_a_round_oversamples_from_the_first_one_on():
    rounds = Rounds(oversample=4.0)
    assert (rounds.round_size(8, 8), rounds.round_size(3, 8)) == (32, 12)
    assert Rounds(oversample=1.5).round_size(256, 256) == 384


def test_lilo_rolls_out_four_batches_and_trains_on_their_most_varied_groups():
    curriculum, host = bound("lilo", host_of()), host_of()
    for _ in range(5):
        batch = step(curriculum, host)
        assert (len(batch.groups), batch.num_rounds, batch.fill) == (4 * GROUPS, 1, "full")
        left = np.setdiff1d(np.arange(4 * GROUPS), batch.chosen_B)
        variance_P = batch.groups.variance_P
        assert variance_P[batch.chosen_B].min() >= variance_P[left].max()


def test_the_warmup_filter_holds_for_the_first_steps():
    curriculum = bound(CurriculumConfig("vcrl", warmup_filter_steps=2, max_rounds=1), host_of())
    eighths = (np.arange(8) < np.arange(9)[:, None]).astype(float)
    groups = Groups(np.arange(9), eighths, eighths, eighths)
    kept = []
    for _ in range(3):
        proposal = curriculum.sources[-1].propose(9, NOTHING)
        kept.append(np.flatnonzero(curriculum.sources[-1].observe(groups, proposal) == "kept").tolist())
        curriculum.step += 1
    assert kept == [[1, 2, 3, 4, 5, 6, 7]] * 2 + [[3, 4, 5]]


@pytest.mark.parametrize("name", ["reinforce_rej", "retire"])
def test_a_filter_without_refill_shrinks_the_batch(name):
    curriculum, host = bound(name, host_of()), host_of()
    batch = step(curriculum, host)
    assert (batch.num_rounds, batch.fill, len(batch.groups)) == (1, "shrink", GROUPS)
    np.testing.assert_array_equal(batch.trained_P, batch.groups.informative_P)


def test_a_curriculum_is_bound_once():
    curriculum = bound("mopps", host_of())
    with pytest.raises(ValueError, match=r"was bound to a pool before.*make another.*build_curriculum"):
        curriculum.bind(pool_of(range(200)), host_of(), GROUPS)
