"""Guards the fallback: it fires on a model without skill within 60 steps, and never on success."""

import numpy as np
import pytest

from rlkit import CurriculumConfig, build_curriculum
from rlkit.collect import NoLedger, collect
from rlkit.curriculum import Curriculum
from rlkit.curriculum.selectors import nearest
from rlkit.curriculum.sources.exploration import Exploration
from rlkit.curriculum.sources.fallback import LEAST, Fallback
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulationConfig, prepare, simulate
from rlkit.types import Groups, Prediction

SIMULATED = SimulationConfig(num_prompts=200, num_steps=30, groups_per_step=32, num_generations=8)


class Broken:
    """Predicts at random, a constant, the mean of late, or the truth."""

    def __init__(self, kind):
        self.kind, self.level = kind, 0.5
        self.rng = np.random.default_rng(0)

    def bind(self, pool, senses):
        self.senses = senses

    def predict(self, index_N):
        kinds = {
            "truth": self.senses.truth(index_N),
            "random": self.rng.random(len(index_N)),
            "constant": np.full(len(index_N), 0.5),
            "level": np.full(len(index_N), self.level),
        }
        mean_N = kinds[self.kind]
        return Prediction(mean_N, mean_N * (1 - mean_N), np.full(len(mean_N), 0.1))

    def observe(self, groups, prediction):
        self.level = 0.9 * self.level + 0.1 * groups.mean_P.mean()

    def metrics(self):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state): ...


def curriculum_of(kind, steps=50, share=0.05):
    rounds = Rounds(nearest, candidates=4, fallback_steps=steps, exploration=Exploration(share))
    return Curriculum(Broken(kind), [rounds])


def groups_of(mean_P) -> Groups:
    signal_PG = (np.arange(8) < np.round(8 * np.asarray(mean_P))[:, None]).astype(float)
    return Groups(np.arange(len(signal_PG)), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def said(mean_P) -> Prediction:
    mean_P = np.asarray(mean_P, dtype=float)
    return Prediction(mean_P, mean_P * (1 - mean_P), np.full(len(mean_P), 0.1))


def test_skill_by_hand():
    fallback = Fallback(1)
    fallback.observe(said([0.5, 0.75, 0.25]), groups_of([0.5, 1.0, 0.0]))
    # The first group sets both levels; then m = 1/2 and v = 1/4, and the levels move by 0.03 of these.
    m = np.array([0, 0.5, -0.5 - 0.03 * 0.5])
    v = np.array([0, 0.25, -0.25 - 0.03 * 0.25])
    assert fallback.skill is None, "too few"
    np.testing.assert_allclose(
        fallback.state_dict()["recent_K4"][:, :2], np.stack([(m - v) ** 2, m**2], axis=1)
    )


@pytest.mark.parametrize(("kind", "falls"), [("random", True), ("constant", True), ("truth", False)])
def test_a_broken_model_falls_back_within_60_steps(kind, falls):
    curriculum = curriculum_of(kind)
    host = prepare(curriculum, SimulationConfig(num_prompts=2000, groups_per_step=16, seed=1))
    for _ in range(60):
        host.learn(collect(curriculum, host, 16, NoLedger()))
    assert curriculum.sources[-1].fallback.active == falls
    assert curriculum.metrics()["guards/value_model"] == falls


def test_one_that_gets_well_chooses_again():
    curriculum = curriculum_of("random", steps=20)
    host = prepare(curriculum, SIMULATED)
    for _ in range(40):
        collect(curriculum, host, 32, NoLedger())
    assert curriculum.sources[-1].fallback.active
    curriculum.estimator.kind = "truth"
    for _ in range(12):
        collect(curriculum, host, 32, NoLedger())
    assert not curriculum.sources[-1].fallback.active


@pytest.mark.parametrize("preset", ["pcl", "rlkit"])
def test_success_is_no_failure(preset):
    """Until nearly all is solved: what is left differs by little."""
    config = SimulationConfig(num_prompts=2000, num_steps=120, groups_per_step=16, learning_rate=0.3)
    curriculum = build_curriculum(CurriculumConfig(curriculum=preset, value_features="last_state"))
    rows = simulate(curriculum, config)
    assert rows[-1]["accuracy"] > 0.95
    assert not any(row["guards/value_model"] for row in rows)


def test_where_all_means_are_the_same_there_is_no_news():
    fallback = Fallback(1)
    fallback.observe(said(np.random.default_rng(0).random(LEAST + 9)), groups_of(np.ones(LEAST + 9)))
    fallback.finish()
    assert fallback.skill is None and not fallback.active


def test_in_order_means_the_first_candidates():
    curriculum, plain = curriculum_of("random", 1), build_curriculum("uniform")
    prepare(curriculum, SIMULATED)
    prepare(plain, SIMULATED)
    curriculum.sources[-1].fallback.active = True
    chosen = curriculum.sources[-1].propose(4, np.empty(0, dtype=int)).index_P
    np.testing.assert_array_equal(chosen, plain.sources[-1].propose(16, np.empty(0, dtype=int)).index_P[:4])


def test_it_is_part_of_the_state():
    curriculum, other = curriculum_of("random", 5), curriculum_of("random", 5)
    host = prepare(curriculum, SIMULATED)
    prepare(other, SIMULATED)
    for _ in range(40):
        collect(curriculum, host, 32, NoLedger())
    other.load_state_dict(curriculum.state_dict())
    ours, theirs = curriculum.sources[-1].fallback, other.sources[-1].fallback
    assert ours.active and theirs.active and ours.skill == theirs.skill


@pytest.mark.parametrize(
    ("preset", "learned"), [("pcl", True), ("rlkit", True), ("vip", False), ("dapo", False)]
)
def test_only_where_a_value_model_chooses_and_some_prompts_are_explored(preset, learned):
    def told(**settings):
        curriculum = build_curriculum(CurriculumConfig(preset, **settings))
        return "guards/value_model" in curriculum.sources[-1].fallback.metrics()

    assert told() == learned
    assert not told(fallback_steps=0) and not told(explore_share=0.0)
