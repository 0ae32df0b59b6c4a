"""Guards a curriculum that is asked first and told later: exact resume, the account, what is refused."""

import copy
from pathlib import Path

import numpy as np
import pytest

from rlkit import CurriculumConfig
from rlkit.curriculum.presets import build_curriculum
from rlkit.hosts.verl.course import Course
from rlkit.prompts.pool import make_pool
from rlkit.record.ledger import read_ledger
from rlkit.types import Groups

BATCH, GROUP, STEPS = 8, 4, 16
ROWS = [{"prompt": f"{number} + {number}", "category": f"{number % 4}"} for number in range(64)]
PRESETS = {
    "uniform": {},
    "mopps": {},
    "greso": {},
    "sec": {},
    "rlkit": {"value_features": "text,past"},
    "pcl": {"value_features": "text,past"},
}


def course(folder: Path, preset: str) -> Course:
    curriculum = build_curriculum(CurriculumConfig(curriculum=preset, **PRESETS.get(preset, {})))
    return Course(curriculum, make_pool(ROWS), BATCH, GROUP, folder)


def rolled_out(index_P: np.ndarray, step: int) -> Groups:
    coins_PG = np.random.default_rng(step).random((len(index_P), GROUP))
    reward_PG = (coins_PG < (index_P % 16 / 15)[:, None]).astype(float)
    return Groups(index_P, reward_PG, reward_PG, np.full(reward_PG.shape, 5))


def run(course: Course, steps: range) -> list:
    """Each step's state while its proposal is open, and the proposal."""
    seen = []
    for step in steps:
        index_P = course.propose(BATCH)
        seen.append((copy.deepcopy(course.state_dict()), index_P.tolist()))
        course.learn(rolled_out(index_P, step))
    return seen


@pytest.mark.parametrize("preset", PRESETS)
def test_a_state_between_question_and_answer_resumes_exactly(tmp_path, preset):
    whole = run(course(tmp_path, preset), range(STEPS))
    account = read_ledger(tmp_path / "ledger").drop_columns(["selection_seconds"])
    for stop in (0, 9):
        resumed = course(tmp_path, preset)
        resumed.load_state_dict(whole[stop][0])
        rest = run(resumed, range(stop + 1, STEPS))
        assert [batch for _, batch in rest] == [batch for _, batch in whole[stop + 1 :]]
        assert read_ledger(tmp_path / "ledger").drop_columns(["selection_seconds"]).equals(account)


def test_the_order_of_what_is_told_changes_nothing(tmp_path):
    """verl balances its batches: groups come back in another order than they were asked for."""
    straight, turned = (course(tmp_path / name, "mopps") for name in ("straight", "turned"))
    for step in range(10):
        index_P = straight.propose(BATCH)
        assert index_P.tolist() == turned.propose(BATCH).tolist()
        groups = rolled_out(index_P, step)
        straight.learn(groups)
        turned.learn(groups.take(np.arange(BATCH)[::-1]))


def test_a_group_that_does_not_come_back_is_said(tmp_path, caplog):
    one = course(tmp_path, "mopps")
    index_P = one.propose(BATCH)
    one.learn(rolled_out(index_P[:6], 0))
    assert "2 of 8 groups did not come back" in caplog.text
    assert len(read_ledger(tmp_path / "ledger")) == 6


def test_what_cannot_be_followed_is_refused(tmp_path):
    one = course(tmp_path, "mopps")
    with pytest.raises(ValueError, match="not asked for"):
        one.learn(rolled_out(np.arange(BATCH), 0))
    one.propose(BATCH)
    with pytest.raises(ValueError, match="this trainer draws ahead"):
        one.propose(BATCH)


def test_what_a_filter_would_drop_is_trained_on_and_said(tmp_path, caplog):
    one = course(tmp_path, "greso")
    assert "trains on every group" in caplog.text
    run(one, range(3))
    rows = read_ledger(tmp_path / "ledger").to_pylist()
    assert all(row["trained"] for row in rows)
    assert {row["reason"] for row in rows} > {"kept"}
