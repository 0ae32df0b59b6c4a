"""Guards the account of a run: what is written comes back, and resuming leaves no gap and nothing twice."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rlkit.record.ledger
from rlkit.curriculum import build_curriculum
from rlkit.hosts.simulated.host import SimulationConfig, simulate
from rlkit.record.ledger import SCHEMA, Ledger, StepLog, read_ledger
from rlkit.types import Batch, Groups, Prediction

KEYS = np.array([2**64 - 1, 7, 2**63, 11, 13], dtype=np.uint64)


def batch_of(*index) -> Batch:
    index_P = np.array(index)
    signal_PG = np.tile([0.0, 1.0, np.nan], (len(index), 1))
    groups = Groups(index_P, signal_PG, signal_PG + 0.5, np.tile([3, 4, 5], (len(index), 1)), 2.0, 0.5)
    reason_P = np.array(["kept", *["all_low"] * (len(index) - 1)], dtype=object)
    return Batch(
        groups=groups,
        prediction=Prediction(index_P / 10, index_P / 100, index_P / 1000),
        round_P=np.arange(len(index)),
        reason_P=reason_P,
        chosen_B=np.array([0]),
        weight_B=np.array([1.0]),
        num_candidates=9,
        num_rounds=len(index),
        fill="full",
        selection_seconds=1.0,
    )


def write(ledger: Ledger, num: int) -> None:
    for _ in range(num):
        ledger.write(batch_of(ledger.generation % 5, (ledger.generation + 1) % 5))


def generations(folder: Path) -> list[int]:
    return read_ledger(folder)["generation"].to_pylist()


def twice_each(numbers) -> list[int]:
    return [number for number in numbers for _ in range(2)]


def test_a_row_a_group_holds_everything(tmp_path):
    ledger = Ledger(tmp_path, KEYS)
    ledger.step = 12
    ledger.write(batch_of(2, 0))
    ledger.flush()
    table = read_ledger(tmp_path)
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert rows[0]["signals"][:2] == [0.0, 1.0] and np.isnan(rows[0]["signals"][2])
    assert rows[0]["rewards"][:2] == [0.5, 1.5]
    del rows[0]["signals"], rows[0]["rewards"]
    assert rows[0] == {
        "generation": 0,
        "step": 12,
        "round": 0,
        "key": 2**63,
        "index": 2,
        "predicted_mean": 0.2,
        "predicted_variance": 0.02,
        "predicted_error": 0.002,
        "lengths": [3, 4, 5],
        "ages": [0, 0, 0],
        "share": 0.0,
        "reason": "kept",
        "trained": True,
        "selection_seconds": 0.5,
        "generation_seconds": 1.0,
        "grading_seconds": 0.25,
    }
    assert (rows[1]["key"], rows[1]["round"], rows[1]["reason"]) == (2**64 - 1, 1, "all_low")
    assert rows[1]["trained"] is False


def test_nothing_is_on_disk_before_a_flush_and_an_empty_flush_writes_nothing(tmp_path):
    ledger = Ledger(tmp_path / "run" / "ledger", KEYS)
    ledger.flush()
    write(ledger, 2)
    assert len(read_ledger(ledger.folder)) == 0
    assert read_ledger(ledger.folder).schema.equals(SCHEMA)
    ledger.flush()
    ledger.flush()
    assert [path.name for path in ledger.folder.iterdir()] == ["part-00000000-00000001.parquet"]
    assert generations(ledger.folder) == [0, 0, 1, 1]


def test_a_long_run_flushes_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(rlkit.record.ledger, "GROUPS_PER_PART", 6)
    ledger = Ledger(tmp_path, KEYS)
    write(ledger, 8)
    assert generations(tmp_path) == twice_each(range(6))
    ledger.flush()
    assert generations(tmp_path) == twice_each(range(8))


def test_resuming_cuts_a_part_that_straddles_the_checkpoint(tmp_path):
    first = Ledger(tmp_path, KEYS)
    for _ in range(3):
        write(first, 4)
        first.flush()
    (tmp_path / "part-00000012-00000015.tmp").write_bytes(b"half of it")

    second = Ledger(tmp_path, KEYS, generation=6)
    assert generations(tmp_path) == twice_each(range(6))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "part-00000000-00000003.parquet",
        "part-00000004-00000005.parquet",
    ]
    write(second, 3)
    second.flush()
    assert generations(tmp_path) == twice_each(range(9))


def test_a_cut_that_was_killed_half_way_is_taken_up_again(tmp_path):
    first = Ledger(tmp_path, KEYS)
    write(first, 4)
    first.flush()
    part = tmp_path / "part-00000000-00000003.parquet"
    whole = part.read_bytes()
    Ledger(tmp_path, KEYS, generation=2)
    part.write_bytes(whole)  # the cut part is there, the whole one was not yet removed
    Ledger(tmp_path, KEYS, generation=2)
    assert generations(tmp_path) == twice_each(range(2))


def test_a_new_run_in_an_old_folder_drops_the_old_groups(tmp_path):
    first = Ledger(tmp_path, KEYS)
    write(first, 3)
    first.flush()
    Ledger(tmp_path, KEYS)
    assert len(read_ledger(tmp_path)) == 0


@settings(max_examples=25)
@given(
    parts=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    unflushed=st.integers(0, 3),
    data=st.data(),
)
def test_wherever_a_run_is_killed_and_resumed_there_is_no_gap_and_nothing_twice(parts, unflushed, data):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = Ledger(folder, KEYS)
        for size in parts:
            write(first, size)
            first.flush()
        checkpoint = data.draw(st.integers(0, sum(parts)))
        write(first, unflushed)
        second = Ledger(folder, KEYS, generation=checkpoint)
        write(second, 3)
        second.flush()
        assert generations(folder) == twice_each(range(checkpoint + 3))
        assert not list(folder.glob("*.tmp"))


def test_a_simulated_run_is_all_there(tmp_path):
    config = SimulationConfig(num_prompts=200, num_steps=6, groups_per_step=8)
    ledger = Ledger(tmp_path, np.arange(200, dtype=np.uint64))
    history = simulate(build_curriculum("dapo"), config, ledger)
    ledger.flush()
    table = read_ledger(tmp_path)
    assert len(table) * config.num_generations == history[-1]["rollouts/spent_total"]
    assert sum(table["trained"].to_pylist()) == 6 * 8
    kept = [row for row in table.to_pylist() if row["reason"] == "kept"]
    assert all(row["trained"] and 0 < sum(row["signals"]) < 8 for row in kept)


def test_parts_are_plain_parquet(tmp_path):
    ledger = Ledger(tmp_path, KEYS)
    write(ledger, 1)
    ledger.flush()
    assert pq.read_metadata(next(tmp_path.glob("*.parquet"))).num_rows == 2


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_a_step_and_null_for_what_json_cannot_hold(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    log = StepLog(path)
    log.write(
        {"step": 1, "loss": float("nan"), "x": float("inf"), "y": np.float64("-inf"), "z": 0.5, "n": None}
    )
    assert lines(path) == [{"step": 1, "loss": None, "x": None, "y": None, "z": 0.5, "n": None}]
    log.close()


@pytest.mark.parametrize("half", ["", '{"step": 2', '{"step": 3, "loss": 0.', "\n"])
def test_resuming_drops_later_lines_and_half_a_line(tmp_path, half):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step, "run": 1}) + "\n" for step in range(1, 6)) + half)
    log = StepLog(path, step=3)
    log.write({"step": 4, "run": 2})
    log.close()
    assert [(row["step"], row["run"]) for row in lines(path)] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert [item.name for item in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_new_log_starts_empty(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    StepLog(path).close()
    assert path.read_text() == ""


def test_a_part_that_was_being_cut_when_the_process_died_is_not_read_twice(tmp_path):
    ledger = Ledger(tmp_path, KEYS)
    write(ledger, 6)
    ledger.flush()
    (long,) = tmp_path.glob("part-*.parquet")
    content = long.read_bytes()
    Ledger(tmp_path, KEYS, generation=4)
    long.write_bytes(content)  # the kill came before it was removed
    assert generations(tmp_path) == twice_each(range(4))
    Ledger(tmp_path, KEYS, generation=2)
    assert generations(tmp_path) == twice_each(range(2))
