"""Guards asynchronous runs on real vLLM (its CPU build), weights through a file; one process and two."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from async_cpu import FileTransfer
from async_runs import GROUPS, free_port
from reading import both_readings
from safetensors.torch import load_file
from servers import ENVIRONMENT, HERE, finish, has_vllm, kill, serving, start_run, steps_done, wait_for_steps
from test_async_trainer import lines
from tiny_vllm import save_model

from rlkit.hosts.async_trl.journal import account
from rlkit.record.ledger import read_ledger

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not has_vllm(), reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vllm")
    save_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def url(place):
    port = free_port()
    with serving(place / "model", port, True):
        yield f"http://127.0.0.1:{port}"


def test_a_run_learns_from_what_the_server_samples(place, url):
    """40 steps with the filter; the importance ratio says that the server has the weights it should have."""
    folder = place / "learns"
    finish(start_run(folder, url, steps=40, settings={"learning_rate": 1e-2}), folder, 600)
    rows = lines(folder)
    first, last = ([row["signal/all"] for row in part] for part in (rows[:8], rows[-8:]))
    assert sum(last) / 8 > sum(first) / 8 + 0.2
    assert account(folder)["trained"] == 40 * GROUPS
    assert "all_low" in read_ledger(folder / "ledger")["reason"].to_pylist()


def test_kill_9_and_resume(place, url):
    folder = place / "killed"
    settings = {"steps": 10, "settings": {"save_strategy": "steps", "save_steps": 2}}
    run = start_run(folder, url, **settings)
    wait_for_steps(run, folder, 5)
    kill(run.pid)
    run.wait()
    finish(start_run(folder, url, **settings), folder)
    assert steps_done(folder) == 10
    told = account(folder)
    assert (told["trained"], told["lost"] > 0) == (10 * GROUPS, True)


def test_the_server_says_how_likely_golds_are_as_transformers_does(place, url):
    """Of the weights that it started with, or got from a run before."""
    saved = load_file(place / "model" / "model.safetensors")
    transfer = FileTransfer(url, place / "back.safetensors")
    transfer.init_weight_transfer()
    transfer.pause()
    transfer.send_weights(iter(saved.items()))
    transfer.resume()
    told, expected = both_readings(url, place / "model")
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-5)


def test_two_trainer_processes(place, url):
    """The first has the curriculum, which looks at likelihoods; both train on a half of each step."""
    import subprocess

    folder = place / "two"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]
    looks = {"curriculum": "rlkit", "numbers": {"value_features": "likelihood,past"}, "steps": 4}
    command += [str(free_port()), str(HERE / "async_runs.py"), str(folder), url, json.dumps(looks)]
    with folder.with_suffix(".log").open("w") as log:
        run = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, cwd=place)
    finish(run, folder, 600)
    told = account(folder)
    assert told["trained"] == 4 * 2 * GROUPS
    assert [row["step"] for row in lines(folder)] == [1, 2, 3, 4]
    assert len(set(read_ledger(folder / "ledger")["predicted_mean"].to_pylist())) > 4
