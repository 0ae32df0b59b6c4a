"""Guards sources as a seam: one of a user's own fills a batch beside ours, in the order that was listed."""

import numpy as np

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, Curriculum, build_curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import KEPT, zero_variance
from rlkit.curriculum.sources.replay import Replay
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.source import Source
from rlkit.hosts.simulated.host import SimulationConfig, prepare
from rlkit.record.checkpoint import load_state, save_state
from rlkit.types import Prediction, Proposal

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
    assert {name: kinds(name) for name in PRESETS} == {name: own.get(name, ["Rounds"]) for name in PRESETS}
