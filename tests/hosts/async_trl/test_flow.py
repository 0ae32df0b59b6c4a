"""Guards the step without a barrier: what is ordered, what teaches, what is trained on, and the account."""

import copy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit import CurriculumConfig, build_curriculum
from rlkit.curriculum.filling import UnfilledBatchError
from rlkit.hosts.async_trl.checks import working_presets
from rlkit.hosts.async_trl.flow import Flow
from rlkit.hosts.async_trl.journal import FILE, Journal, account, read_journal
from rlkit.hosts.async_trl.messages import Outcome
from rlkit.hosts.async_trl.orders import ordered_anew
from rlkit.hosts.async_trl.record import COLUMNS, columns_of
from rlkit.hosts.async_trl.senses import NoSenses
from rlkit.prompts.pool import make_pool
from rlkit.record.ledger import Ledger, read_ledger

GROUPS, GROUP = 2, 4
MIXED, ALL_RIGHT, NOTHING = [1.0, 0.0, 0.0, 1.0], [1.0] * 4, [np.nan] * 4


@dataclass
class Row:
    """A row of the update."""

    group: int
    place: int


def make_flow(
    folder: Path,
    name: str = "dapo",
    rows: int = 30,
    staleness: int = 2,
    first: int = 0,
    more: dict | None = None,
    **numbers,
) -> Flow:
    curriculum = build_curriculum(CurriculumConfig(name, signal_max=1.0, **numbers))
    contents = [str(number) for number in range(first, first + rows)]
    pool = make_pool(
        [{"prompt": [{"role": "user", "content": text}], "answer": "1", **(more or {})} for text in contents]
    )
    curriculum.bind(pool, NoSenses(), GROUPS, GROUP)
    return Flow(
        curriculum,
        Journal(folder / FILE),
        num_groups=GROUPS,
        max_staleness=staleness,
        signal=None,
        make_sample=Row,
    )


def outcome(flow: Flow, number: int, rewards: list[float], version: int | None = None) -> Outcome:
    samples = [Row(number, place) for place in range(GROUP)]
    started = flow.version if version is None else version
    return Outcome(number, samples, np.array([rewards]), np.full(GROUP, 3), started, 0.1, 0.1)


def test_orders_fill_the_room_and_no_prompt_is_ordered_twice_at_once(tmp_path):
    flow = make_flow(tmp_path)
    orders = flow.propose()
    assert len(orders) == flow.room == 4  # 2 groups a step, 2 versions
    assert len({order.row["prompt"][0]["content"] for order in orders}) == 4
    assert flow.propose() == []
    flow.graded(outcome(flow, 0, ALL_RIGHT))  # dropped, so that there is room for one
    (order,) = flow.propose()
    assert order.number == 4
    assert [entry["group"] for entry in read_journal(tmp_path / FILE)] == [0, 1, 2, 3, 4]


def test_a_pool_of_one_batch_goes_round(tmp_path):
    """Groups that the loader has are free to be ordered again, or the loader would wait for ever."""
    flow = make_flow(tmp_path, rows=GROUPS)
    for _ in range(5):
        for order in flow.propose():
            flow.graded(outcome(flow, order.number, MIXED))
        given = [flow.give() for _ in range(GROUPS * GROUP)]
        assert None not in given
        flow.trained(len(given))
        assert len(flow.settle().number_P) == GROUPS


def test_every_graded_group_teaches_at_once_and_the_filter_drops(tmp_path):
    flow = make_flow(tmp_path)
    numbers = [order.number for order in flow.propose()]
    flow.graded(outcome(flow, numbers[0], MIXED))
    flow.graded(outcome(flow, numbers[1], ALL_RIGHT))
    assert flow.curriculum.pool.visits_N.sum() == 2
    assert [flow.give().group for _ in range(GROUP)] == [0] * GROUP
    assert flow.give() is None
    flow.trained(GROUP)
    settled = flow.settle()
    assert dict(zip(settled.number_P.tolist(), settled.batch.reason_P, strict=True)) == {
        0: "kept",
        1: "all_high",
    }
    assert settled.batch.trained_P.tolist() == [False, True]
    assert settled.batch.groups.num_rollouts == 2 * GROUP


COLUMNS_OF_PRESETS = {"pass_rate": 0.5, "difficulty": 50.0, "category": "a", "tier": "easy"}


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        *((name, {}) for name in working_presets() if name not in ("oracle", "perplexity_band")),
        ("rlkit", {"value_features": "text,answer,past"}),
        ("pcl", {"value_features": "text,past"}),
    ],
)
def test_a_group_teaches_after_others_were_proposed(tmp_path, name, numbers):
    """With the presets that are said to work here: what comes back first was not proposed last."""
    flow = make_flow(tmp_path, name, rows=40, more=COLUMNS_OF_PRESETS, **numbers)
    numbers_in = [order.number for order in flow.propose()]
    for number, rewards in zip(numbers_in, [MIXED, ALL_RIGHT, NOTHING, MIXED], strict=True):
        flow.graded(outcome(flow, number, rewards))
        flow.propose()
        while flow.give() is not None:
            pass
        flow.trained(len(flow._given))
        flow.settle()
    for number in sorted(flow.in_flight, reverse=True):
        flow.graded(outcome(flow, number, MIXED))


def test_ages_are_counted_in_policy_versions_and_stale_groups_cost(tmp_path):
    flow = make_flow(tmp_path, staleness=1)
    first, second = [order.number for order in flow.propose()]
    taught = []
    flow.rounds.observe = lambda groups, proposal: (
        taught.append(groups.age_PG.max()) or np.array(["kept"], object)
    )
    flow.version = 1
    flow.graded(outcome(flow, first, MIXED, version=0))
    flow.graded(outcome(flow, second, MIXED, version=1))
    assert taught == [1, 0]
    flow.version = 2
    assert flow.give().group == second  # the other one is two versions old
    for _ in range(GROUP - 1):
        flow.give()
    flow.trained(GROUP)
    settled = flow.settle()
    assert settled.batch.reason_P.tolist() == ["stale", "kept"]
    assert settled.staleness_P.tolist() == [2, 1]


def test_the_best_dropped_group_is_trained_on_where_the_rounds_are_used_up(tmp_path):
    flow = make_flow(tmp_path, max_rounds=2)
    for rewards in ([1.0] * 4, [0.0] * 4, [1.0] * 4):
        (number, *_) = [order.number for order in flow.propose()] or list(flow.in_flight)
        flow.graded(outcome(flow, number, rewards))
    assert flow.give() is None
    flow.graded(outcome(flow, next(iter(flow.in_flight)), ALL_RIGHT))
    assert flow.give() is not None


def test_a_group_trains_again_at_its_age_where_the_rounds_are_used_up(tmp_path):
    """A replay has a row of its own under the old number, costs nothing, and is no older than it may be."""
    flow = make_flow(tmp_path, "ssb", max_rounds=1)
    ledger = Ledger(tmp_path / "ledger", flow.curriculum.pool.key_N, 0, COLUMNS)

    def step(rewards: list[float]) -> None:
        for order in flow.propose():
            flow.graded(outcome(flow, order.number, rewards))
        given = [row for row in (flow.give() for _ in range(GROUPS * GROUP)) if row is not None]
        flow.trained(len(given))
        rows.append([row.group for row in given])
        flow.version += 1
        settled = flow.settle()
        ledger.write(settled.batch, **columns_of(settled))

    rows: list[list[int]] = []
    step(MIXED)
    step(MIXED)  # the two that waited; two more are ordered
    assert rows == [[0] * GROUP + [1] * GROUP, [2] * GROUP + [3] * GROUP]
    for group in list(flow.ready):
        flow.ready.remove(group)
        flow._drop(group, "stale")
    step(ALL_RIGHT)
    assert len(set(rows[2])) == 2 and set(rows[2]) <= {0, 1, 2, 3}
    flow.version += flow.max_staleness  # all are too old to train again: the most varied dropped one does
    step(ALL_RIGHT)
    assert not set(rows[3]) & {0, 1, 2, 3}
    assert flow.end() is None
    ledger.flush()
    told = account(tmp_path)
    assert told["replayed"] == 2
    assert told["spent"] == told["trained"] + told["dropped"] + told["lost"]
    again = [row for row in read_ledger(tmp_path / "ledger").to_pylist() if row["reason"] == "replayed"]
    assert all(row["trained"] and min(row["ages"]) >= 1 and row["lengths"] == [3] * GROUP for row in again)


def test_fill_error_says_so(tmp_path):
    flow = make_flow(tmp_path, max_rounds=1, fill="error")
    for order in flow.propose()[:2]:
        flow.graded(outcome(flow, order.number, ALL_RIGHT))
    with pytest.raises(UnfilledBatchError, match="dropped 2 groups"):
        flow.give()


def test_fill_error_waits_where_the_step_has_its_groups(tmp_path):
    """The loader reads ahead; what was kept, or dropped before the step was full, is not held against it."""
    flow = make_flow(tmp_path, max_rounds=1, fill="error")
    flow.propose()
    for number, rewards in enumerate([ALL_RIGHT, MIXED, MIXED]):
        flow.graded(outcome(flow, number, rewards))
    assert all(flow.give() for _ in range(GROUPS * GROUP))
    assert flow.give() is None
    flow.graded(outcome(flow, 3, ALL_RIGHT))
    assert flow.give() is None  # the first drop of the step to come


def test_what_is_lost_comes_again_first(tmp_path):
    flow = make_flow(tmp_path)
    before = {order.number: order.row for order in flow.propose()}
    flow.lose([1, 2])
    again = flow.propose()
    assert [order.row for order in again] == [before[1], before[2]]
    assert [order.number for order in again] == [4, 5]
    settled = flow.settle()
    assert settled.batch.reason_P.tolist() == ["lost", "lost"]
    assert settled.batch.groups.num_rollouts == 2 * GROUP  # at most


def test_a_group_begun_goes_on_after_a_resume_without_its_trained_rows(tmp_path):
    flow = make_flow(tmp_path)
    for order in flow.propose():
        flow.graded(outcome(flow, order.number, MIXED))
    given = [flow.give() for _ in range(GROUP + 2)]
    flow.trained(GROUP + 1)
    state = copy.deepcopy({"flow": flow.state_dict(), "curriculum": flow.curriculum.state_dict()})
    later = make_flow(tmp_path)
    later.curriculum.load_state_dict(state["curriculum"])
    later.load_state_dict(state["flow"])
    rest = [later.give() for _ in range(4 * GROUP - len(given) + 1)]
    assert [(row.group, row.place) for row in rest] == [
        (group, place) for group in range(4) for place in range(GROUP) if (group, place) > (1, 0)
    ]


def test_a_group_begun_before_a_resume_counts_as_trained_where_its_rest_grows_stale(tmp_path):
    flow = make_flow(tmp_path)
    (number, *_) = [order.number for order in flow.propose()]
    flow.graded(outcome(flow, number, MIXED))
    flow.give()
    flow.trained(1)
    later = make_flow(tmp_path)
    later.load_state_dict(copy.deepcopy(flow.state_dict()))
    later.version += later.max_staleness + 1
    assert later.give() is None
    settled = later.settle()
    reasons = dict(zip(settled.number_P.tolist(), settled.batch.reason_P, strict=True))
    assert reasons == {0: "kept", 1: "lost", 2: "lost", 3: "lost"}
    assert settled.batch.trained_P.sum() == 1


def test_in_another_folder_what_was_on_its_way_is_ordered_anew(tmp_path):
    flow = make_flow(tmp_path / "one")
    rows = {order.number: order.row for order in flow.propose()}
    for number in (0, 1):
        flow.graded(outcome(flow, number, MIXED))
    flow.give()
    flow.trained(1)
    later = make_flow(tmp_path / "two")
    later.load_state_dict(ordered_anew(copy.deepcopy(flow.state_dict())))
    orders = later.propose()
    assert [order.number for order in orders] == [0, 1, 2, 3]
    assert [order.row for order in orders[:3]] == [rows[2], rows[3], rows[1]]  # 0 was trained on in part


def test_with_other_data_each_order_has_its_row_too(tmp_path):
    """Of six prompts two are gone: their groups neither wait nor come again, and have their rows."""
    flow = make_flow(tmp_path, rows=6, staleness=3)
    content = {order.number: order.row["prompt"][0]["content"] for order in flow.propose()}
    number = {text: number for number, text in content.items()}
    for text in ("0", "2", "3"):
        flow.graded(outcome(flow, number[text], MIXED))
    state = copy.deepcopy({"flow": flow.state_dict(), "curriculum": flow.curriculum.state_dict()})
    flow.graded(outcome(flow, number["1"], ALL_RIGHT))
    (after,) = flow.propose()  # an order that the checkpoint does not know
    assert after.row["prompt"][0]["content"] == "1"  # the others are busy

    later = make_flow(tmp_path, rows=6, staleness=3, first=2)
    later.curriculum.load_state_dict(state["curriculum"], allow_changed_data=True)
    later.load_state_dict(state["flow"])
    assert {later.curriculum.pool.rows[group.index]["prompt"][0]["content"] for group in later.ready} == {
        "2",
        "3",
    }
    orders = [order.row["prompt"][0]["content"] for order in later.propose()]
    assert set(orders[:2]) == {"4", "5"} and not {"0", "1", "2", "3"} & set(orders)
    ledger = Ledger(tmp_path / "ledger", later.curriculum.pool.key_N, 0, COLUMNS)
    settled = later.settle()
    reasons = dict(zip(settled.number_P.tolist(), settled.batch.reason_P.tolist(), strict=True))
    lost = {number[text]: "lost" for text in ("1", "4", "5")}
    assert reasons == {number["0"]: "unused", **lost, after.number: "lost"}
    for part in (settled, later.end()):
        ledger.write(part.batch, **columns_of(part))
    ledger.flush()
    assert account(tmp_path)["spent"] == 7 + len(orders)
    rows = {row["group"]: row for row in read_ledger(tmp_path / "ledger").to_pylist()}
    gone = [rows[number[text]] for text in ("0", "1")]
    assert [row["key"] for row in gone] == [int(flow.curriculum.pool.key_N[int(text)]) for text in ("0", "1")]
    assert [row["index"] for row in gone] == [-1, -1]


class Life:
    """A run driven by a list of random numbers: steps, checkpoints, and kills without a word."""

    def __init__(self, folder: Path, draw):
        self.folder, self.draw = folder, draw
        self.saved = None
        self.start()

    def start(self) -> None:
        self.flow = make_flow(self.folder, rows=12)
        if self.saved is not None:
            self.flow.curriculum.load_state_dict(copy.deepcopy(self.saved["curriculum"]))
        self.flow.load_state_dict(copy.deepcopy(self.saved and self.saved["flow"]))
        pool, generation = self.flow.curriculum.pool, self.flow.curriculum.step
        self.ledger = Ledger(self.folder / "ledger", pool.key_N, generation, COLUMNS)

    def work(self) -> None:
        flow = self.flow
        flow.propose()
        for number in list(flow.in_flight):
            fate = self.draw(st.integers(0, 6))
            if fate == 0:
                flow.lose([number])
            elif fate < 5:
                flow.graded(outcome(flow, number, [MIXED, MIXED, ALL_RIGHT, NOTHING][fate - 1]))
        for _ in range(GROUPS * GROUP + 3):
            flow.give()
        num = self.draw(st.integers(0, len(flow._given)))
        flow.trained(num)
        flow.version += 1
        self.write(flow.settle())

    def write(self, settled) -> None:
        if settled is not None:
            self.ledger.write(settled.batch, **columns_of(settled))

    def save(self) -> None:
        self.ledger.flush()
        self.saved = {
            "flow": copy.deepcopy(self.flow.state_dict()),
            "curriculum": copy.deepcopy(self.flow.curriculum.state_dict()),
        }


@given(st.data())
@settings(max_examples=40)
def test_after_any_kills_each_order_has_one_row(data):
    """Steps, checkpoints and kills in any order: no gap, no duplicate, spent = trained + dropped + lost."""
    with TemporaryDirectory() as folder:
        life = Life(Path(folder), data.draw)
        for event in data.draw(st.lists(st.sampled_from(["work", "work", "save", "kill"]), max_size=12)):
            if event == "kill":
                if data.draw(st.booleans()):
                    life.ledger.flush()  # rows after the checkpoint had reached the disk
                life.start()
            else:
                getattr(life, event)()
        life.write(life.flow.end())
        life.ledger.flush()
        told = account(folder)
        assert told["spent"] == told["trained"] + told["dropped"] + told["lost"]
        assert told["spent"] == len(read_journal(Path(folder) / FILE))


def test_the_account_sees_a_gap_and_a_duplicate(tmp_path):
    flow = make_flow(tmp_path)
    flow.propose()
    ledger = Ledger(tmp_path / "ledger", flow.curriculum.pool.key_N, 0, COLUMNS)
    left = flow.end()
    ledger.write(left.batch, **{**columns_of(left), "group": np.array([0, 1, 1, 3])})
    ledger.flush()
    with pytest.raises(ValueError, match=r"1 have no row in the ledger \(\[2\]\), 1 several \(\[1\]\)"):
        account(tmp_path)
    assert len(read_ledger(tmp_path / "ledger")) == 4


def test_half_a_line_is_no_order(tmp_path):
    journal = Journal(tmp_path / FILE)
    journal.write(5, GROUP, 0)
    journal.close()
    with (tmp_path / FILE).open("a") as file:
        file.write('{"group": 1, "ind')
    assert Journal(tmp_path / FILE).next_number == 1
    assert len(read_journal(tmp_path / FILE)) == 1
