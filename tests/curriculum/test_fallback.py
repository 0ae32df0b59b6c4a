"""Guards the fallback: a value model that is no better than the mean does not choose, until it is."""

from dataclasses import replace

import numpy as np
import pytest

from rlkit import CurriculumConfig, build_curriculum
from rlkit.collect import NoLedger, collect
from rlkit.curriculum import Curriculum
from rlkit.curriculum.selectors import nearest
from rlkit.curriculum.sources.fallback import Fallback
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulationConfig, prepare, simulate
from rlkit.types import Prediction

SIMULATED = SimulationConfig(num_prompts=200, num_steps=30, groups_per_step=32, num_generations=8)


class Wrong:
    """Predicts the opposite of the truth, or the truth."""

    def bind(self, pool, senses):
        self.senses, self.honest = senses, False

    def predict(self, index_N):
        mean_N = self.senses.truth(index_N)
        mean_N = mean_N if self.honest else 1 - mean_N
        return Prediction(mean_N, mean_N * (1 - mean_N), np.full(len(mean_N), 0.1))

    def observe(self, groups, prediction): ...
    def metrics(self):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state): ...


def wrong(steps):
    return Curriculum(Wrong(), [Rounds(nearest, candidates=4, fallback_steps=steps)])


def test_counting():
    fallback = Fallback(3)
    for value, active in [
        (0.0, False),
        (-1.0, False),
        (None, False),
        (0.0, True),
        (None, True),
        (0.1, False),
    ]:
        fallback.observe(value)
        assert fallback.active == active
    assert Fallback(0).metrics() == {} and not Fallback(0).active


def test_prompts_come_in_the_streams_order_until_it_is_better():
    curriculum = wrong(5)
    host = prepare(curriculum, SIMULATED)
    active = []
    for step in range(60):
        curriculum.estimator.honest = step >= 20
        active.append(curriculum.sources[-1].fallback.active)
        collect(curriculum, host, 32, NoLedger())
    assert not any(active[:5]) and all(active[8:20]), "wrong predictions are set aside"
    assert not active[-1], "and taken up again, once they have left the window of 512 groups"


def test_in_order_means_the_first_candidates():
    curriculum, plain = wrong(1), build_curriculum("uniform")
    prepare(curriculum, SIMULATED)
    prepare(plain, SIMULATED)
    curriculum.sources[-1].fallback.observe(-1.0)
    chosen = curriculum.sources[-1].propose(4, np.empty(0, dtype=int)).index_P
    np.testing.assert_array_equal(chosen, plain.sources[-1].propose(16, np.empty(0, dtype=int)).index_P[:4])


def test_it_is_part_of_the_state():
    def run(curriculum, host, num):
        return [collect(curriculum, host, 32, NoLedger()).groups.index_P.tolist() for _ in range(num)]

    curriculum = wrong(5)
    host = prepare(curriculum, SIMULATED)
    run(curriculum, host, 7)
    state = curriculum.state_dict()
    other = wrong(5)
    other_host = prepare(other, SIMULATED)
    other.load_state_dict(state)
    assert other.sources[-1].fallback.active == curriculum.sources[-1].fallback.active
    assert other.sources[-1].fallback.state_dict() == curriculum.sources[-1].fallback.state_dict()
    assert other_host is not host


@pytest.mark.parametrize(
    ("preset", "learned"), [("pcl", True), ("rlkit", True), ("vip", False), ("dapo", False)]
)
def test_only_where_a_value_model_chooses(preset, learned):
    assert ("guards/value_model" in build_curriculum(preset).sources[-1].fallback.metrics()) == learned
    config = CurriculumConfig(curriculum=preset, fallback_steps=0)
    assert build_curriculum(config).sources[-1].fallback.metrics() == {}


@pytest.mark.parametrize("preset", ["pcl", "rlkit"])
def test_a_value_model_that_works_keeps_choosing(preset):
    """No false alarm on the simulator, although selection narrows the range of the means."""
    config = replace(SIMULATED, num_prompts=2000, num_steps=150, groups_per_step=16)
    rows = simulate(build_curriculum(CurriculumConfig(curriculum=preset, value_backbone="linear")), config)
    assert not any(row["guards/value_model"] for row in rows)
