"""Guards the step: a full batch whatever the filter does, everything observed, reports that add up."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.collect import NoLedger, UnfilledBatchError, collect
from rlkit.curriculum import Curriculum, build_curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import keep_all, zero_variance
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.pool import PromptPool
from rlkit.record.funnel import funnel
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Proposal

G = 4


class TableHost:
    """Answers from a table of rewards, one row a prompt; each prompt can only be rolled out once a step."""

    def __init__(self, reward_NG, share: int = 1):
        self.reward_NG = np.asarray(reward_NG, dtype=float)
        self.share = share
        self.asked: list[list[int]] = []

    def whole(self, num: int, count: int) -> int:
        return -(-num // self.share) * self.share

    def agree(self, proposal: Proposal) -> Proposal:
        return proposal

    def rollout(self, proposal: Proposal) -> Groups:
        self.asked.append(proposal.index_P.tolist())
        reward_PG = self.reward_NG[proposal.index_P]
        return Groups(proposal.index_P, reward_PG, reward_PG, np.full(reward_PG.shape, 7), 2.0, 1.0)

    def features(self, index_N: np.ndarray) -> np.ndarray:
        return self.reward_NG[index_N].astype(np.float32)

    def truth(self, index_N: np.ndarray) -> None:
        return None


class Recorder(Neutral):
    """An estimator that remembers whom it was taught by."""

    def __init__(self) -> None:
        self.taught: list[int] = []
        self.predicted: list[float] = []

    def observe(self, groups, prediction):
        self.taught.extend(groups.index_P.tolist())
        self.predicted.extend(prediction.mean_N.tolist())


def numbered(num: int) -> PromptPool:
    return PromptPool([{"prompt": f"p{i}"} for i in range(num)], np.arange(num, dtype=np.uint64))


def bound(host, num_groups, filter=keep_all, estimator=None, fill="top_up", **numbers) -> Curriculum:
    curriculum = Curriculum(estimator or Neutral(), [Rounds(filter=filter, **numbers)], fill=fill)
    curriculum.bind(numbered(len(host.reward_NG)), host, num_groups, G)
    return curriculum


def keeping(kept: set[int]):
    """A filter that keeps the prompts in `kept`; its reasons are fixed-width, as np.where makes them."""
    return lambda groups: np.where(np.isin(groups.index_P, list(kept)), "kept", "no")


def informative_rewards(num: int) -> np.ndarray:
    return np.tile([1.0, 0.0, 0.0, 0.0], (num, 1))


@settings(max_examples=200)
@given(
    num_prompts=st.integers(1, 25),
    num_groups=st.integers(1, 8),
    max_rounds=st.integers(1, 6),
    candidates=st.integers(1, 3),
    fill=st.sampled_from(["top_up", "shrink"]),
    num_steps=st.integers(1, 3),
    kept=st.sets(st.integers(0, 24)),
)
def test_every_step_fills_its_batch_once_each_and_adds_up(
    num_prompts, num_groups, max_rounds, candidates, fill, num_steps, kept
):
    num_groups = min(num_groups, num_prompts)
    host, recorder = TableHost(informative_rewards(num_prompts)), Recorder()
    curriculum = bound(
        host,
        num_groups,
        keeping(kept),
        recorder,
        max_rounds=max_rounds,
        candidates=candidates,
        fill=fill,
    )
    for step in range(1, num_steps + 1):
        host.asked, recorder.taught = [], []
        batch = collect(curriculum, host, num_groups, NoLedger())
        graded = batch.groups.index_P.tolist()

        assert len(batch.chosen_B) == len(batch.weight_B) == num_groups
        assert len(set(batch.chosen_B.tolist())) == num_groups
        assert len(set(graded)) == len(graded)
        assert recorder.taught == graded == [index for asked in host.asked for index in asked]
        assert batch.num_rounds == len(host.asked) <= max_rounds
        np.testing.assert_array_equal(np.bincount(batch.round_P), [len(asked) for asked in host.asked])

        reasons = Counter(batch.reason_P)
        survivors = [index for index in graded if index in kept]
        assert set(reasons) <= {"kept", "no", "surplus"}
        assert reasons["kept"] + reasons["surplus"] == len(survivors)
        assert reasons["kept"] == min(num_groups, len(survivors))
        assert sum(reasons.values()) == len(graded)
        # First come first served.
        trained = batch.groups.index_P[batch.chosen_B][: reasons["kept"]].tolist()
        assert trained == survivors[:num_groups]

        full = reasons["kept"] == num_groups
        assert batch.fill == ("full" if full else fill)
        assert batch.weight_B.sum() == (reasons["kept"] if fill == "shrink" else num_groups)
        # It stops early only where the batch is full or the pool has no more.
        assert full or batch.num_rounds == max_rounds or len(graded) == num_prompts
        assert curriculum.step == step


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=G, max_size=G), min_size=6, max_size=20)
)
def test_the_funnel_adds_up(rows):
    host = TableHost(rows)
    curriculum = bound(host, 4, zero_variance, max_rounds=3)
    batch = collect(curriculum, host, 4, NoLedger())
    row = funnel(batch)
    reasons = ("kept", "surplus", "all_low", "all_high", "unscorable")
    assert sum(row.get(f"funnel/{name}", 0) for name in reasons) == row["funnel/graded"]
    assert row["funnel/trained"] == 4 == min(4, row["funnel/kept"]) + row["funnel/topped_up"]
    assert row["rollouts/spent"] == row["funnel/graded"] * G
    assert row["rollouts/trained"] == 4 * G
    assert row["rollouts/unscorable"] == np.isnan(host.reward_NG[batch.groups.index_P]).sum()
    assert row["tokens/generated"] == 7 * G * row["funnel/graded"]
    assert row["seconds/generation"] == 2.0 * row["funnel/rounds"]
    assert row["seconds/grading"] == 1.0 * row["funnel/rounds"]
    varied = np.nanmax(host.reward_NG, axis=1, initial=0) > np.nanmin(host.reward_NG, axis=1, initial=1)
    assert row["effective_ratio"] == varied[batch.groups.index_P[batch.chosen_B]].mean()


def test_no_filter_is_one_round_of_the_stream():
    host = TableHost(informative_rewards(12))
    curriculum = bound(host, 5, max_rounds=10)
    stream = numbered(12).draw(10, np.empty(0, dtype=np.int64))
    batches = [collect(curriculum, host, 5, NoLedger()) for _ in range(2)]
    np.testing.assert_array_equal(np.concatenate([batch.groups.index_P for batch in batches]), stream)
    assert [batch.num_rounds for batch in batches] == [1, 1]
    assert [batch.fill for batch in batches] == ["full", "full"]


def test_top_up_takes_the_most_varied_of_the_dropped_and_unscorable_last():
    nan = np.nan
    rows = [[nan] * 4, [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [nan] * 4, [nan, nan, 1, 0], [1, 1, 1, 1]]
    host = TableHost(rows)
    curriculum = bound(host, 7, keeping({6}))
    batch = collect(curriculum, host, 7, NoLedger())
    order = batch.groups.index_P[batch.chosen_B].tolist()
    assert order[0] == 6
    assert set(order[1:3]) == {3, 5} and order[3:5] == [2, 1] and set(order[5:]) == {0, 4}
    assert batch.fill == "top_up"
    assert batch.weight_B.all()


def test_shrink_pads_with_groups_that_do_not_train():
    host = TableHost(informative_rewards(6))
    curriculum = bound(host, 6, keeping({0, 3}), fill="shrink")
    batch = collect(curriculum, host, 6, NoLedger())
    np.testing.assert_array_equal(batch.weight_B, [1, 1, 0, 0, 0, 0])
    assert set(batch.groups.index_P[batch.trained_P].tolist()) == {0, 3}
    assert funnel(batch)["funnel/trained"] == 2
    assert funnel(batch)["funnel/topped_up"] == 0


def test_error_names_the_funnel_and_the_remedies():
    host = TableHost(informative_rewards(20))
    curriculum = bound(host, 4, keeping({2}), fill="error", max_rounds=2)
    with pytest.raises(UnfilledBatchError) as error:
        for _ in range(3):
            collect(curriculum, host, 4, NoLedger())
    message = str(error.value)
    assert "2 rounds of rollouts did not fill a batch of 4 groups" in message
    assert "no" in message and "raise max_rounds" in message and "fill=top_up" in message


def test_error_is_silent_while_batches_fill():
    host = TableHost(informative_rewards(4))
    assert collect(bound(host, 4, fill="error"), host, 4, NoLedger()).fill == "full"


def test_a_filter_that_drops_everything_spends_the_rounds_and_no_more():
    host = TableHost(np.zeros((100, G)))
    curriculum = bound(host, 5, zero_variance, max_rounds=4)
    batch = collect(curriculum, host, 5, NoLedger())
    assert batch.num_rounds == 4
    assert funnel(batch) | {"funnel/kept": 0, "funnel/topped_up": 5, "effective_ratio": 0.0} == funnel(batch)
    assert set(batch.reason_P) == {"all_low"}


def test_unscorable_groups_are_dropped_and_reported_as_such():
    host = TableHost(np.full((10, G), np.nan))
    curriculum = bound(host, 3, zero_variance, max_rounds=2)
    batch = collect(curriculum, host, 3, NoLedger())
    row = funnel(batch)
    assert set(batch.reason_P) == {"unscorable"}
    assert row["rollouts/unscorable"] == row["rollouts/spent"] == 3 * G, "no refill"
    assert np.isnan(row["signal/all"]) and row["effective_ratio"] == 0.0
    assert curriculum.metrics().keys().isdisjoint({"calibration/brier"})


def test_a_pool_that_runs_out_within_a_step_ends_it():
    host = TableHost(np.zeros((7, G)))
    batch = collect(bound(host, 4, zero_variance, max_rounds=50), host, 4, NoLedger())
    assert sorted(batch.groups.index_P.tolist()) == list(range(7))
    assert batch.num_rounds == 2


def test_rounds_are_shared_equally_where_the_host_asks_for_it():
    host = TableHost(informative_rewards(40), share=4)
    collect(bound(host, 8, keeping(set(range(0, 40, 3))), max_rounds=4), host, 8, NoLedger())
    assert len(host.asked) > 1
    assert all(len(asked) % 4 == 0 for asked in host.asked)


def test_what_was_predicted_stays_beside_the_choice():
    class Guess(Recorder):
        def predict(self, index_N):
            neutral = super().predict(index_N)
            neutral.mean_N[:] = index_N / 100
            return neutral

    host, recorder = TableHost(informative_rewards(30)), Guess()
    curriculum = bound(host, 6, keeping(set(range(15))), recorder, max_rounds=3, candidates=2)
    batch = collect(curriculum, host, 6, NoLedger())
    np.testing.assert_array_equal(batch.prediction.mean_N, batch.groups.index_P / 100)
    assert recorder.predicted == batch.prediction.mean_N.tolist()
    assert batch.num_candidates == 2 * len(batch.groups)


def test_the_ledger_gets_each_batch_after_the_step_is_over():
    class Copies(NoLedger):
        def __init__(self):
            self.batches = []

        def write(self, batch):
            self.batches.append(batch)

    host, ledger = TableHost(informative_rewards(9)), Copies()
    curriculum = bound(host, 3)
    batches = [collect(curriculum, host, 3, ledger) for _ in range(3)]
    assert all(written is made for written, made in zip(ledger.batches, batches, strict=True))


class MixedUpStart(SimulatedHost):
    """The simulated policy, but the first round's rewards go to the wrong prompts.

    Turning 1 to 0 would not do: the prompts nearest one half are then the same.
    """

    rounds = 0

    def rollout(self, proposal):
        groups = super().rollout(proposal)
        self.rounds += 1
        if self.rounds > 1:
            return groups
        mixed_PG = np.roll(groups.signal_PG, 1, axis=0)
        return Groups(groups.index_P, mixed_PG, mixed_PG, groups.length_PG)


def two_choices(host_class) -> list[list[int]]:
    config = SimulationConfig(num_prompts=400, seed=5)
    host = host_class(config)
    curriculum = build_curriculum(CurriculumConfig("pcl", curriculum_seed=5))
    curriculum.bind(numbered(400), host, 16)
    return [collect(curriculum, host, 16, NoLedger()).groups.index_P.tolist() for _ in range(2)]


def test_the_choice_at_a_step_uses_the_rewards_of_the_step_before():
    plain, again, mixed = two_choices(SimulatedHost), two_choices(SimulatedHost), two_choices(MixedUpStart)
    assert plain == again
    assert plain[0] == mixed[0]
    assert set(plain[1]) != set(mixed[1])


class CoinHost(TableHost):
    """Flips a coin of the prompt's rate for each completion."""

    def __init__(self, rate_N, seed, share=1):
        super().__init__(np.zeros((len(rate_N), G)), share)
        self.rate_N, self.rng = np.asarray(rate_N), np.random.default_rng(seed)

    def agree(self, proposal):
        whole = np.flatnonzero(np.cumsum(proposal.count_P) % self.share == 0)
        return proposal.take(np.arange(whole[-1] + 1 if len(whole) else 0))

    def whole(self, num, count):
        multiple = self.share // math.gcd(self.share, count)
        return -(-num // multiple) * multiple

    def rollout(self, proposal):
        assert proposal.count_P.sum() % self.share == 0
        self.asked.append(proposal.count_P.tolist())
        width = proposal.count_P.max()
        reward_PG = (
            self.rng.random((len(proposal.index_P), width)) < self.rate_N[proposal.index_P, None]
        ) * 1.0
        absent_PG = np.arange(width) >= proposal.count_P[:, None]
        reward_PG[absent_PG] = np.nan
        length_PG = np.where(absent_PG, 0, 7)
        return Groups(proposal.index_P, reward_PG, reward_PG, length_PG, age_PG=np.where(absent_PG, -1, 0))


def test_screened_groups_that_cannot_be_shared_equally_are_told():
    """Three groups lack three completions each, and two processes cannot share nine."""
    host = CoinHost([0.0] * 4, seed=0, share=2)
    curriculum = build_curriculum(CurriculumConfig(curriculum="speed", screen=2, max_rounds=1))
    curriculum.bind(numbered(4), host, 3, 5)
    with pytest.raises(UnfilledBatchError, match=r"choose screen \(2\)"):
        collect(curriculum, host, 3, NoLedger())


@settings(max_examples=100, deadline=None)
@given(
    rates=st.lists(st.sampled_from([0.0, 0.3, 0.7, 1.0]), min_size=12, max_size=30),
    preset=st.sampled_from(["speed", "ssb", "ssb half", "vip", "knapsack", "vcrl"]),
    num_groups=st.integers(2, 5),
    max_rounds=st.integers(1, 4),
    share=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_groups_that_outlast_a_step_or_differ_in_size_add_up(
    rates, preset, num_groups, max_rounds, share, seed
):
    preset, half = preset.split()[0], preset.endswith("half")
    single = preset in ("ssb", "vip", "knapsack")
    host = CoinHost(rates, seed, share)
    config = CurriculumConfig(
        curriculum=preset,
        screen=2 if preset == "speed" else None,
        max_rounds=1 if single else max_rounds,
        max_age=2 if preset in ("speed", "ssb") else None,
        replay_share=0.5 if half else None,
    )
    curriculum = build_curriculum(config)
    curriculum.bind(numbered(len(rates)), host, num_groups, G)
    for _ in range(5):
        host.asked = []
        batch = collect(curriculum, host, num_groups, NoLedger())
        groups, chosen = batch.groups, batch.chosen_B
        assert groups.num_rollouts == sum(map(sum, host.asked)) == funnel(batch)["rollouts/spent"]
        assert len(chosen) == len(set(chosen.tolist())) == num_groups
        assert groups.size_P[chosen].sum() == num_groups * G, "the update's batch has a constant size"
        if preset not in ("vip", "knapsack"):
            assert (groups.size_P[chosen] == G).all()
        assert groups.age_PG.max() <= 2 or curriculum.shelf is None
        assert len(set(groups.index_P.tolist())) == len(groups)
        trained = set(groups.index_P[chosen].tolist())
        if preset == "speed":
            assert not trained & set(curriculum.shelf.index.tolist())
