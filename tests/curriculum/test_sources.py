"""Guards sources as a seam: one of a user's own fills a batch beside ours, in the order that was listed."""

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, Curriculum, build_curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import KEPT, zero_variance
from rlkit.curriculum.sources.replay import Replay
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.source import Source
from rlkit.hosts.simulated.host import SimulationConfig, prepare
from rlkit.record.checkpoint import load_state, save_state
from rlkit.settings.config import CurriculumConfig
from rlkit.types import REPLAYED, Prediction, Proposal

CONFIG = SimulationConfig(num_prompts=80, groups_per_step=8, num_generations=4, seed=3)


class Favorites(Source):
    """Rolls out the same two prompts at the start of every step."""

    def __init__(self):
        self.num_steps = 0

    def fill(self, filling, host):
        index_P = np.array([5, 7])
        count_P = np.full(2, self.owner.group_size)
        proposal = host.agree(Proposal(index_P, count_P, Prediction.neutral(2), 2, 0.0))
        groups = host.rollout(proposal)
        self.owner.learn(groups, proposal.prediction)
        filling.add(proposal, groups, np.full(2, KEPT, dtype=object))

    def finish(self, batch):
        super().finish(batch)
        self.num_steps += 1

    def numbers(self):
        return {"favorites": 2}

    def metrics(self):
        return {"favorites/steps": float(self.num_steps)}

    def state_dict(self):
        return {"num_steps": self.num_steps}

    def load_state_dict(self, state):
        self.num_steps = state["num_steps"]


def with_favorites() -> Curriculum:
    rounds = Rounds(filter=zero_variance, max_rounds=2)
    return Curriculum(Neutral(), [Favorites(), rounds, Replay(capacity=20, max_age=3)], seed=1)


def test_a_source_of_ones_own_fills_first_and_is_not_proposed_again(tmp_path):
    curriculum = with_favorites()
    host = prepare(curriculum, CONFIG)
    for number in range(1, 6):
        batch = collect(curriculum, host, 8, NoLedger())
        trained = batch.groups.index_P[batch.chosen_B].tolist()
        assert trained[:2] == [5, 7] and len(set(trained)) == len(trained) == 8
        assert curriculum.metrics()["favorites/steps"] == number
    assert curriculum.state_dict()["numbers"]["favorites"] == 2

    save_state(tmp_path, "curriculum", curriculum.state_dict())
    other = with_favorites()
    prepare(other, CONFIG)
    other.load_state_dict(load_state(tmp_path, "curriculum"))
    np.testing.assert_equal(other.state_dict(), curriculum.state_dict())


def test_presets_list_their_sources_in_the_order_of_the_step():
    def kinds(name):
        return [type(source).__name__ for source in build_curriculum(name).sources]

    own = {
        "speed": ["Screened"],
        "ssb": ["Rounds", "Replay"],
        "rlkit_replay": ["Rounds", "Replay"],
        "dots": ["Probe", "Rounds"],
        "vcrl": ["Banked"],
    }
    share = CurriculumConfig("rlkit_replay", replay_share=0.5)
    assert kinds(share) == ["Ahead", "Rounds", "Replay"]
    assert {name: kinds(name) for name in PRESETS} == {name: own.get(name, ["Rounds"]) for name in PRESETS}


def with_share(share):
    return build_curriculum(CurriculumConfig("ssb", replay_share=share, curriculum_seed=2))


def test_replay_has_its_share_before_anything_is_rolled_out():
    """Half of eight places, as soon as the shelf has as many; what the filter leaves free comes on top."""
    curriculum = with_share(0.5)
    host, before, rolled_out = prepare(curriculum, CONFIG), 0, []
    for _ in range(12):
        batch = collect(curriculum, host, 8, NoLedger())
        again = int((batch.round_P == REPLAYED).sum())
        fresh, informative = len(batch.groups) - again, batch.groups.informative_P
        assert fresh == 8 - min(4, before), "no more is rolled out than there are places"
        dropped = int((~informative[batch.round_P != REPLAYED]).sum())
        assert again == min(before, min(4, before) + dropped)
        assert len(batch.chosen_B) == len(set(batch.groups.index_P[batch.chosen_B].tolist())) == 8
        before = len(curriculum.shelf.index)
        rolled_out.append(fresh)
    assert rolled_out[0] == 8 and rolled_out.count(4) >= 4


@pytest.mark.parametrize(("old", "new"), [(0.5, 0.0), (0.0, 0.5)])
def test_a_run_goes_on_with_another_share(old, new, caplog):
    """The shelf stays, and a warning says what changed."""
    curriculum = with_share(old)
    host = prepare(curriculum, CONFIG)
    for _ in range(4):
        collect(curriculum, host, 8, NoLedger())
    other = with_share(new)
    prepare(other, CONFIG)
    other.load_state_dict(curriculum.state_dict())
    np.testing.assert_array_equal(other.shelf.index, curriculum.shelf.index)
    assert f"replay_share {old} -> {new}" in caplog.text
