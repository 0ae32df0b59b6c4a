"""Guards asynchronous runs as wholes: real processes, with the small engine (vLLM: test_async_vllm.py)."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from async_runs import GROUP, GROUPS, free_port
from reading import both_readings
from servers import (
    finish,
    kill,
    rollout_process,
    serving,
    start_run,
    wait_for_steps,
)
from test_flow import NOTHING, make_flow, outcome
from tiny_vllm import save_model

from rlkit.hosts.async_trl.journal import account
from rlkit.hosts.async_trl.messages import Failure, GradingErrors
from rlkit.hosts.async_trl.worker import RolloutWorker
from rlkit.hosts.trl.watch import NothingGradedError
from rlkit.record.ledger import read_ledger


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("async")
    save_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def url(place):
    port = free_port()
    with serving(place / "model", port, False):
        yield f"http://127.0.0.1:{port}"


def test_the_server_says_how_likely_golds_are_as_transformers_does(place, url):
    told, expected = both_readings(url, place / "model")
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-5)
    assert np.isnan(told[1, :3]).all() and np.isfinite(told[[0, 2, 3]]).all()


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_that_is_killed_learns_and_accounts_for_every_group(place, url):
    """The reward rises, the filter drops, no group is older than it may be, and each order has one row."""
    folder = place / "learns"
    settings = {"steps": 30, "settings": {"learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 4}}
    run = start_run(folder, url, **settings)
    wait_for_steps(run, folder, 6)
    kill(run.pid)
    run.wait()
    finish(start_run(folder, url, **settings), folder)
    rows = lines(folder)
    assert [row["step"] for row in rows] == list(range(1, 31))
    first, last = ([row["signal/all"] for row in part] for part in (rows[:6], rows[-6:]))
    assert sum(last) / 6 > sum(first) / 6 + 0.2
    told = account(folder)
    assert told["trained"] == 30 * GROUPS
    assert told["dropped"] > 0
    assert told["lost"] > 0
    table = read_ledger(folder / "ledger").to_pylist()
    kept = [row for row in table if row["trained"]]
    assert all(len(set(row["rewards"])) > 1 for row in kept if row["reason"] == "kept")
    assert max(row["staleness"] for row in kept) <= 3  # 2, and 1 that the loader reads ahead
    assert any(row["staleness"] > 0 for row in kept)
    assert rows[-1]["rollouts/trained_total"] == 30 * GROUPS * GROUP
    assert rows[-1]["rollouts/spent_total"] >= rows[-1]["rollouts/trained_total"]
    assert {"async/queue", "async/in_flight", "async/staleness", "funnel/stale"} <= rows[-1].keys()


def test_faults_end_no_run(place):
    """A reward that hangs, a rollout process that does, and a server that is killed and comes back."""
    port = free_port()
    url, folder = f"http://127.0.0.1:{port}", place / "faults"
    settings = {"reward": "hangs_at_nine", "numbers": {"reward_timeout": 0.5}, "steps": 12}
    settings["settings"] = {"heartbeat_stale_after_s": 8.0}
    with serving(place / "model", port, False) as server:
        run = start_run(folder, url, **settings)
        wait_for_steps(run, folder, 2)
        os.kill(rollout_process(run), signal.SIGSTOP)
        wait_for_steps(run, folder, 5)
        kill(server.pid)
        server.wait()
    with serving(place / "model", port, False):
        said = finish(run, folder)
    assert "the rollout process showed no life for" in said
    assert "failed on 4 completions, which count as unscorable" in said
    told = account(folder)
    assert told["trained"] == 12 * GROUPS
    assert told["lost"] > 0
    assert "unscorable" in read_ledger(folder / "ledger")["reason"].to_pylist()


def test_what_nobody_can_grade_or_roll_out_ends_the_run_in_words(tmp_path):
    worker = RolloutWorker({"vllm_server_url": "http://server"}, max_ungraded_groups=3)
    worker.flow = make_flow(tmp_path, staleness=4)
    numbers = [order.number for order in worker.flow.propose()]
    with pytest.raises(NothingGradedError, match=r"of the last 3 groups .* the last failure: mine: KeyError"):
        worker._take(GradingErrors("mine", 4, "KeyError('answer')"))
        for number in numbers[:3]:
            worker._take(outcome(worker.flow, number, NOTHING))
    with pytest.raises(RuntimeError, match=r"6 groups in a row .* the vLLM server \(http://server\)"):
        for _ in range(6):
            worker._take(Failure(next(iter(worker.flow.in_flight)), "ClientError"))
            worker.flow.propose()


def test_a_prompt_that_always_fails_is_passed_over(tmp_path):
    """Else it would be ordered for ever while others go well, and fill the journal."""
    worker = RolloutWorker({"vllm_server_url": "http://server"}, max_ungraded_groups=3)
    worker.flow = make_flow(tmp_path)
    number = worker.flow.propose()[0].number
    bad = worker.flow.in_flight[number].index
    for _ in range(3):
        (number,) = [group.number for group in worker.flow.in_flight.values() if group.index == bad]
        worker._take(Failure(number, "TemplateError"))
        worker.flow.propose()
    assert bad not in [group.index for group in worker.flow.in_flight.values()]
    assert len(worker.flow.in_flight) == worker.flow.room
