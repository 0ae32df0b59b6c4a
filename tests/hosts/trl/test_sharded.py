"""Guards sharding: two processes (gloo) that each hold a part of the weights choose and learn as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_processes import JOBS, SAVING, STEPS, read, timeless
from tiny_trl import ledger_rows

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SHARDED = {
    **{
        name: JOBS[name]
        for name in (
            "uniform",
            "dapo",
            "pcl",
            "rlkit",
            "ssb",
            "speed",
            "split-pcl",
            "metis",
            "policy-features",
            "relift",
            "balance",
        )
    },
    "lora-pcl": ({"curriculum": "pcl"}, 4, 16, SAVING),
    "checkpointing-pcl": ({"curriculum": "pcl"}, 4, 16, {**STEPS, "gradient_checkpointing": True}),
    "bf16-uniform": ({"curriculum": "uniform"}, 4, 16, {**STEPS, "bf16": True}),
}
RESUMED = ("pcl", "ssb", "lora-pcl", "relift")
FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
BATCH = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size")
ZERO = {
    **dict.fromkeys([*BATCH, "gradient_clipping"], "auto"),
    "zero_force_ds_cpu_optimizer": False,
    "zero_allow_untested_optimizer": True,
}
JOBS_OF = {
    "fsdp2": tuple(SHARDED),
    "zero2": ("dapo", "ssb", "relift", "balance"),
    "zero3": ("pcl", "metis", "policy-features", "relift"),
}


def launch(folder, names, way, resume=None):
    folder.mkdir(exist_ok=True)
    if way == "zero3" and len(names) > 1:  # DeepSpeed cannot shard a second model in the same process
        for name in names:
            launch(folder, [name], way, resume)
        return
    jobs = []
    for name in names:
        curriculum, num_generations, batch, settings = SHARDED[name]
        if way.startswith("zero"):
            settings = {**settings, "deepspeed": {**ZERO, "zero_optimization": {"stage": int(way[-1])}}}
        checkpoint = str(folder / name / f"checkpoint-{resume}") if resume else None
        jobs.append((name, curriculum, num_generations, batch, settings, checkpoint))
    command = [str(HERE / "two_processes.py"), str(folder), json.dumps(jobs)]
    if way == "fsdp2":
        command = [str(HERE / "as_if_gpus.py"), *command]
    if way != "one":
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *command]
    variables = FSDP2 if way == "fsdp2" else {"DS_ACCELERATOR": "cpu"} if way.startswith("zero") else {}
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=800,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    launch(folder, SHARDED, "one")
    return folder


@pytest.fixture(scope="module", params=["fsdp2", "zero2", "zero3"])
def runs(request, tmp_path_factory):
    if request.param != "fsdp2":
        pytest.importorskip("deepspeed")
    folder = tmp_path_factory.mktemp(request.param)
    launch(folder, JOBS_OF[request.param], request.param)
    return folder, request.param


@pytest.mark.parametrize("name", SHARDED)
def test_shards_choose_and_learn_as_one(alone, runs, name):
    folder, way = runs
    if name not in JOBS_OF[way]:
        pytest.skip("under another way only")
    one, first, second = read(alone, name), read(folder, name, 0), read(folder, name, 1)
    coarse = {"rel": 2e-2, "abs": 1e-2} if name.startswith("bf16") else {"rel": 1e-4, "abs": 1e-5}
    for whole, left, right in zip(one["notes"], first["notes"], second["notes"], strict=True):
        assert whole["index"] == left["index"] == right["index"]
        assert whole["chosen"] == left["chosen"] == right["chosen"]
        assert whole["prompts"] == left["prompts"] + right["prompts"]
        assert whole["advantages"] == pytest.approx(left["advantages"] + right["advantages"], abs=1e-5)
    assert first["losses"] == pytest.approx(one["losses"], **coarse)
    if way != "zero3":  # whose processes hold no whole tensor outside of a forward
        assert list(first["weights"].values()) == pytest.approx(list(one["weights"].values()), **coarse)
        assert first["weights"] == second["weights"]
    if not name.startswith("bf16"):
        assert timeless(ledger_rows(alone / name)) == timeless(ledger_rows(folder / name))


def test_resume_of_shards(runs):
    folder, way = runs
    names = [name for name in RESUMED if name in JOBS_OF[way]]
    before = {name: ledger_rows(folder / name) for name in names}
    launch(folder, names, way, resume=3)
    for name in names:
        assert ledger_rows(folder / name) == before[name]
        for rank in range(2):
            straight, resumed = read(folder, name, rank), read(folder, name, rank, "-resumed")
            for what in ("losses", "weights"):
                assert straight[what] == resumed[what]
            assert straight["notes"][3:] == resumed["notes"]
