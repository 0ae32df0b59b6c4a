"""Guards exploration: how many places, which prompts, and what is left to the rule."""

import numpy as np
import pytest

from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.curriculum.sources.exploration import Exploration
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulationConfig, prepare
from rlkit.prompts.pool import PromptPool
from rlkit.settings.config import CurriculumConfig

NOTHING = np.empty(0, dtype=np.int64)
RNG = np.random.default_rng(0)


def bound(exploration, num=100):
    exploration.bind(PromptPool([{"prompt": str(i)} for i in range(num)], np.arange(num, dtype=np.uint64)))
    return exploration


@pytest.mark.parametrize(
    ("share", "places"),
    [(0.0, [0] * 8), (0.25, [1] * 8), (0.1, [0, 1, 0, 1, 0, 0, 1, 0]), (1.0, [4] * 8)],
)
def test_what_a_round_cannot_give_is_left_to_the_next(share, places):
    exploration = bound(Exploration(share))
    assert [len(exploration.draw(4, NOTHING, RNG)) for _ in range(8)] == places


def test_the_explored_are_the_stream_s_next():
    exploration, plain = bound(Exploration(0.5)), bound(Exploration(1.0))
    np.testing.assert_array_equal(exploration.draw(8, NOTHING, RNG), plain.draw(4, NOTHING, RNG))
    excluded = plain.draw(4, NOTHING, RNG)[:2]
    assert not np.isin(exploration.draw(8, excluded, RNG), excluded).any()


def test_an_admission_that_is_no_judgement_holds_for_the_explored_too():
    exploration = bound(Exploration(0.5, lambda index_N: 1.0 - index_N % 2))
    assert (exploration.draw(20, NOTHING, RNG) % 2 == 0).all()


def test_a_restored_exploration_goes_on_where_it_was():
    one, other = bound(Exploration(0.1)), bound(Exploration(0.1))
    one.draw(4, NOTHING, RNG)
    other.load_state_dict(one.state_dict())
    assert [len(part.draw(4, NOTHING, RNG)) for part in (one, other)] == [1, 1]


@pytest.mark.parametrize("preset", PRESETS)
def test_any_preset_explores(preset):
    """All places explored: the stream as it comes (`easy_to_hard` sorts it), whatever the preset's rule."""
    chosen, in_order = [], preset if preset == "easy_to_hard" else "uniform"
    for config in (CurriculumConfig(preset, explore_share=1.0), CurriculumConfig(in_order)):
        curriculum = build_curriculum(config)
        prepare(curriculum, SimulationConfig(num_prompts=400, groups_per_step=16))
        rounds = next(source for source in curriculum.sources if isinstance(source, Rounds))
        chosen.append(rounds.propose(16, NOTHING).index_P)
    np.testing.assert_array_equal(*chosen)


def test_explored_places_come_first_and_the_rule_fills_the_rest():
    config = CurriculumConfig("oracle", explore_share=0.25)
    curriculum = build_curriculum(config)
    host = prepare(curriculum, SimulationConfig(num_prompts=400, groups_per_step=16))
    stream = build_curriculum("uniform")
    prepare(stream, SimulationConfig(num_prompts=400, groups_per_step=16))
    candidates = stream.sources[-1].propose(64, NOTHING).index_P
    chosen = curriculum.sources[-1].propose(16, NOTHING)
    np.testing.assert_array_equal(chosen.index_P[:4], candidates[:4])
    distance = np.abs(host.truth(candidates[4:]) - 0.5)
    np.testing.assert_array_equal(
        chosen.index_P[4:], candidates[4:][np.argsort(distance, kind="stable")[:12]]
    )
    assert chosen.num_candidates == 64


def test_no_candidates_are_an_empty_proposal():
    curriculum = build_curriculum("rlkit")
    prepare(curriculum, SimulationConfig(num_prompts=400, groups_per_step=16))
    curriculum.pool.usable.examine = lambda index_N: np.zeros(len(index_N), dtype=bool)
    assert len(curriculum.sources[-1].propose(16, NOTHING).index_P) == 0
