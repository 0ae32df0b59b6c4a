"""Guards against SIGKILL at any moment: nothing is lost, nothing is counted twice, the end is the same."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny_trl import ledger_rows, metrics

pytestmark = pytest.mark.slow

NUM_KILLS = 24
STEPS = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills") / "run"
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, script, folder, str(NUM_KILLS), "0"], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def report(run):
    return json.loads((run / "report.json").read_text())


def step_of(name):
    return int(name.split("-")[1]) if name else 0


def timeless(row):
    return {name: value for name, value in row.items() if "seconds" not in name}


def test_every_kill_hit_and_half_of_them_while_saving(run):
    kills = report(run)["kills"]
    assert len(kills) == NUM_KILLS and all(kill["killed"] for kill in kills)
    hit = [kill for kill in kills if kill["kind"] == "saving" and kill["cut_short"]]
    assert len(hit) >= NUM_KILLS // 4, "most of those aimed at a save must have cut one short"


def test_each_resume_takes_the_last_whole_checkpoint(run):
    """With save_total_limit=2, also where the newest folder was cut short; at most two saves are lost."""
    kills = report(run)["kills"]
    for kill, following in pairwise(kills):
        assert following["resumed_from"] == kill["whole"]
        assert step_of(kill["whole"]) >= step_of(kill["resumed_from"])
        assert kill["steps_done"] - step_of(kill["whole"]) <= 2
    assert report(run)["codes"] == {"killed": 0, "straight": 0}


def test_weights_are_those_of_the_undisturbed_run(run):
    killed, straight = (
        torch.load(run / name / "weights.pt", weights_only=True) for name in ("killed", "straight")
    )
    assert killed.keys() == straight.keys()
    for name, tensor in straight.items():
        assert torch.equal(killed[name], tensor), name


def test_ledger_and_steps_are_complete_and_counted_once(run):
    killed, straight = ledger_rows(run / "killed"), ledger_rows(run / "straight")
    assert killed == straight and {row["step"] for row in killed} == set(range(1, STEPS + 1))
    rows, expected = metrics(run / "killed"), metrics(run / "straight")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [timeless(row) for row in rows] == [timeless(row) for row in expected]
    assert any(not math.isclose(row["signal/all"], rows[0]["signal/all"]) for row in rows), "it trains"
