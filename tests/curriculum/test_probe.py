"""Guards probes: when they are due, what they cost, and that nobody trains on them or scores them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import Curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import keep_all, zero_variance
from rlkit.curriculum.sources.probe import Probe
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.prompts.pool import PromptPool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.record.funnel import funnel
from rlkit.types import Groups, Proposal

G = 4


class HalfRightHost:
    """All completions of even prompts are right, half of an odd one's; rounds are multiples of `share`."""

    def __init__(self, share: int = 1):
        self.share = share
        self.asked: list[list[int]] = []

    def whole(self, num: int, count: int) -> int:
        return -(-num // self.share) * self.share

    def agree(self, proposal: Proposal) -> Proposal:
        return proposal

    def rollout(self, proposal: Proposal) -> Groups:
        self.asked.append(proposal.index_P.tolist())
        odd_P = proposal.index_P % 2 == 1
        reward_PG = np.where(odd_P[:, None], [1.0, 0.0, 1.0, 0.0], 1.0)
        return Groups(proposal.index_P, reward_PG, reward_PG, np.full(reward_PG.shape, 7), 2.0, 1.0)

    def features(self, index_N):
        return index_N[:, None].astype(np.float32)

    def truth(self, index_N):
        return None


class Witness(Neutral):
    """Remembers what the rounds taught, and what the probes did."""

    def __init__(self):
        self.taught: list[int] = []
        self.shown: list[list[int]] = []

    def observe(self, groups, prediction):
        self.taught.extend(groups.index_P.tolist())

    def look(self, groups):
        self.shown.append(groups.index_P.tolist())


def probing(num_prompts=40, num_groups=4, filter=keep_all, share=0.5, every=2, **numbers) -> Curriculum:
    witness = Witness()
    probe = Probe(share, every, witness.look)
    curriculum = Curriculum(witness, [probe, Rounds(filter=filter)], **numbers)
    pool = PromptPool(
        [{"prompt": f"p{i}"} for i in range(num_prompts)], np.arange(num_prompts, dtype=np.uint64)
    )
    curriculum.bind(pool, HalfRightHost(), num_groups)
    return curriculum


def steps(curriculum, host, num, num_groups=4):
    return [collect(curriculum, host, num_groups, NoLedger()) for _ in range(num)]


def test_a_probe_counts_as_spent_and_is_neither_trained_on_nor_scored():
    curriculum, host = probing(), HalfRightHost()
    first, second = steps(curriculum, host, 2)
    assert [len(asked) for asked in host.asked] == [2, 4, 4]
    assert first.reason_P.tolist() == ["reference"] * 2 + ["kept"] * 4
    assert first.round_P.tolist() == [0, 0, 1, 1, 1, 1] and first.chosen_B.tolist() == [2, 3, 4, 5]
    assert first.trained_P.tolist() == [False] * 2 + [True] * 4
    row = funnel(first)
    assert (row["funnel/reference"], row["funnel/graded"], row["funnel/rounds"]) == (2, 6, 2)
    assert (row["rollouts/spent"], row["rollouts/trained"]) == (6 * G, 4 * G)
    assert (row["tokens/generated"], row["seconds/generation"]) == (7 * 6 * G, 4.0)
    assert (row["funnel/candidates"], row["funnel/topped_up"]) == (4, 0)
    assert funnel(second)["funnel/reference"] == 0 and len(second.groups) == 4

    assert curriculum.estimator.shown == host.asked[:1]
    assert curriculum.estimator.taught == host.asked[1] + host.asked[2]
    assert len(curriculum.calibration.state_dict()["recent"]) == 8
    assert curriculum.pool.visits_N.sum() == 10


def test_a_probe_leaves_the_keep_rate_and_the_stream_alone():
    plain, probed = probing(share=0.001, every=10**9, filter=zero_variance), probing(filter=zero_variance)
    plain.sources = plain.sources[1:]
    hosts = HalfRightHost(), HalfRightHost()
    for one, other in zip(steps(plain, hosts[0], 5), steps(probed, hosts[1], 5), strict=True):
        rest = other.groups.index_P[other.reason_P != "reference"]
        np.testing.assert_array_equal(one.groups.index_P, rest)
    np.testing.assert_equal(plain.sources[-1].state_dict(), probed.sources[-1].state_dict())


def test_top_up_takes_no_reference():
    def drop_all(groups):
        return np.full(len(groups), "all_low", dtype=object)

    for filter in (zero_variance, drop_all):
        for fill in ("top_up", "shrink"):
            batch = steps(probing(share=3.0, filter=filter, fill=fill), HalfRightHost(), 1)[0]
            assert (batch.reason_P == "reference").sum() == 12
            assert len(batch.chosen_B) == 4 and (batch.reason_P[batch.chosen_B] != "reference").all()


@given(
    num_prompts=st.integers(4, 30),
    share=st.floats(0.01, 4),
    every=st.integers(1, 4),
    multiple=st.sampled_from([1, 2, 4]),
)
def test_the_schedule_and_the_sizes(num_prompts, share, every, multiple):
    curriculum, host = probing(num_prompts, share=share, every=every), HalfRightHost(multiple)
    size = min(host.whole(int(np.ceil(share * 4)), 8), num_prompts)
    for number, batch in enumerate(steps(curriculum, host, 6)):
        references = batch.groups.index_P[batch.reason_P == "reference"]
        assert len(references) == (size if number % every == 0 else 0)
        assert len(set(references.tolist())) == len(references)
        assert len(set(batch.groups.index_P[batch.chosen_B].tolist())) == 4


def test_references_come_from_the_whole_pool():
    curriculum = probing(num_prompts=20, share=1.0, every=1)
    steps(curriculum, HalfRightHost(), 200)
    counts = np.bincount(np.concatenate(curriculum.estimator.shown), minlength=20)
    assert counts.sum() == 800 and counts.min() > 20 and counts.max() < 65  # 40 each, give or take


def test_a_resumed_run_probes_when_and_what_the_straight_one_does(tmp_path):
    straight = probing(every=3)
    steps(straight, HalfRightHost(), 4)
    save_state(tmp_path, "curriculum", straight.state_dict())
    resumed = probing(every=3)
    resumed.load_state_dict(load_state(tmp_path, "curriculum"))
    straight.estimator.shown.clear()
    hosts = HalfRightHost(), HalfRightHost()
    steps(straight, hosts[0], 6)
    steps(resumed, hosts[1], 6)
    assert hosts[0].asked == hosts[1].asked
    assert straight.estimator.shown == resumed.estimator.shown
    assert [len(asked) for asked in hosts[0].asked] == [4, 4, 2, 4, 4, 4, 2, 4]  # at steps 6 and 9
