"""Guards FSDP2: two processes (gloo) that each hold half of the weights choose and learn as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_trl_processes import JOBS, SAVING, STEPS, read, timeless
from tiny_trl import ledger_rows

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SHARDED = {
    **{name: JOBS[name] for name in ("uniform", "dapo", "pcl", "rlkit", "ssb", "speed", "split-pcl", "metis")},
    "lora-pcl": ({"curriculum": "pcl"}, 4, 16, SAVING),
    "checkpointing-pcl": ({"curriculum": "pcl"}, 4, 16, {**STEPS, "gradient_checkpointing": True}),
    "bf16-uniform": ({"curriculum": "uniform"}, 4, 16, {**STEPS, "bf16": True}),
}
RESUMED = ("pcl", "ssb", "lora-pcl")
AS_FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}


def launch(folder, names, sharded, resume=None):
    folder.mkdir(exist_ok=True)
    jobs = [
        (name, *SHARDED[name], str(folder / name / f"checkpoint-{resume}") if resume else None)
        for name in names
    ]
    command = [str(HERE / "two_processes.py"), str(folder), json.dumps(jobs)]
    if sharded:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        command = [*torchrun, str(HERE / "as_if_gpus.py"), *command]
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, **(AS_FSDP2 if sharded else {})},
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    launch(folder / "one", SHARDED, sharded=False)
    launch(folder / "two", SHARDED, sharded=True)
    return folder


@pytest.mark.parametrize("name", SHARDED)
def test_shards_choose_and_learn_as_one(runs, name):
    one, first, second = read(runs / "one", name), read(runs / "two", name, 0), read(runs / "two", name, 1)
    coarse = {"rel": 2e-2, "abs": 1e-2} if name.startswith("bf16") else {"rel": 1e-4, "abs": 1e-5}
    for alone, left, right in zip(one["notes"], first["notes"], second["notes"], strict=True):
        assert alone["index"] == left["index"] == right["index"]
        assert alone["chosen"] == left["chosen"] == right["chosen"]
        assert alone["prompts"] == left["prompts"] + right["prompts"]
        assert alone["advantages"] == pytest.approx(left["advantages"] + right["advantages"], abs=1e-5)
    assert first["losses"] == pytest.approx(one["losses"], **coarse)
    assert list(first["weights"].values()) == pytest.approx(list(one["weights"].values()), **coarse)
    assert first["weights"] == second["weights"]
    if not name.startswith("bf16"):
        assert timeless(ledger_rows(runs / "one" / name)) == timeless(ledger_rows(runs / "two" / name))


def test_resume_of_shards(runs):
    folder = runs / "two"
    before = {name: ledger_rows(folder / name) for name in RESUMED}
    launch(folder, RESUMED, sharded=True, resume=3)
    for name in RESUMED:
        assert ledger_rows(folder / name) == before[name]
        for rank in range(2):
            straight, resumed = read(folder, name, rank), read(folder, name, rank, "-resumed")
            for what in ("losses", "weights"):
                assert straight[what] == resumed[what]
            assert straight["notes"][3:] == resumed["notes"]
