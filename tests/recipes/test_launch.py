"""Guards the launch files: accelerate takes each, and the recipe trains and resumes in two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from test_grpo import REPOSITORY, data_path, model_path, on_cpu  # noqa: F401 (fixtures)
from trl import GRPOConfig
from trl.scripts.vllm_serve import make_parser

from rlkit.record.ledger import read_ledger

FILES = REPOSITORY / "recipes" / "accelerate"
AS_IF_GPUS = REPOSITORY / "tests" / "hosts" / "trl" / "as_if_gpus.py"
TWO_NODES = REPOSITORY / "recipes" / "launch" / "two_nodes.sh"


def parsed(*words: str):
    """The arguments of `accelerate launch` after its own checks; unknown keys of a file are its error."""
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args([*words]))
    return arguments


@pytest.mark.parametrize(
    ("name", "processes", "machines", "kind"),
    [
        ("one_gpu", 1, 1, DistributedType.NO),
        ("ddp", 8, 1, DistributedType.MULTI_GPU),
        ("fsdp2", 8, 1, DistributedType.FSDP),
        ("zero2", 8, 1, DistributedType.DEEPSPEED),
        ("zero3", 8, 1, DistributedType.DEEPSPEED),
        ("two_nodes", 16, 2, DistributedType.FSDP),
    ],
)
def test_accelerate_takes_every_file(name, processes, machines, kind):
    arguments = parsed("--config_file", str(FILES / f"{name}.yaml"), "recipes/grpo.py")
    assert (arguments.num_processes, arguments.num_machines) == (processes, machines)
    assert arguments.mixed_precision == "bf16" and not arguments.cpu
    flags = (arguments.multi_gpu, arguments.use_fsdp, arguments.use_deepspeed)
    kinds = (DistributedType.MULTI_GPU, DistributedType.FSDP, DistributedType.DEEPSPEED)
    assert flags == tuple(kind == each for each in kinds)
    if kind == DistributedType.FSDP:
        variables = prepare_multi_gpu_env(arguments)
        assert variables["ACCELERATE_USE_FSDP"] == "true" and variables["FSDP_VERSION"] == "2"
        assert variables["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    if kind == DistributedType.DEEPSPEED:
        arguments.deepspeed_fields_from_accelerate_config = ""  # what `launch_command` adds with deepspeed
        _, variables = prepare_deepspeed_cmd_env(arguments)
        assert variables["ACCELERATE_USE_DEEPSPEED"] == "true"
        assert variables["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == name[-1]
        assert (variables["ACCELERATE_DEEPSPEED_ZERO3_INIT"] == "true") == (name == "zero3")


def test_every_launch_file_is_tested():
    assert {path.stem for path in FILES.glob("*.yaml")} == {
        "one_gpu",
        "ddp",
        "fsdp2",
        "zero2",
        "zero3",
        "two_nodes",
    }


def two_nodes(tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """The script with programs that print how they were called in the place of `trl` and `accelerate`."""
    for name in ("trl", "accelerate"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(TWO_NODES), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **variables},
    )


def test_two_nodes_are_called_as_trl_and_accelerate_want(tmp_path):
    served = two_nodes(tmp_path, "serve", "some/model", TENSOR_PARALLEL="2").stdout.split()
    assert served[:2] == ["trl", "vllm-serve"]
    (server,) = make_parser().parse_args_and_config(served[2:])
    assert (server.model, server.tensor_parallel_size, server.data_parallel_size) == ("some/model", 2, 4)

    words = ("train", "1", "--config", "my.yaml")
    trained = two_nodes(tmp_path, *words, MAIN="node0", SERVER="node2").stdout.split()
    assert trained[:2] == ["accelerate", "launch"]
    arguments = parsed(*trained[2:])
    assert (arguments.machine_rank, arguments.main_process_ip, arguments.num_processes) == (1, "node0", 16)
    assert arguments.training_script == "recipes/grpo.py" and arguments.use_fsdp
    given = arguments.training_script_args
    assert given[:2] == ["--config", "my.yaml"]
    fields = GRPOConfig.__dataclass_fields__
    assert all(word[2:] in fields for word in given[2:] if word.startswith("--"))
    assert given[given.index("--vllm_server_host") + 1] == "node2"


@pytest.mark.parametrize(
    "words", [(), ("serve",), ("train", "2", "--config", "my.yaml"), ("train", "0", "--config", "my.yaml")]
)
def test_two_nodes_says_how_to_call_it(tmp_path, words):
    done = two_nodes(tmp_path, *words)
    assert done.returncode == 2 and "MAIN=node0 SERVER=node2" in done.stderr and done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_the_recipe_trains_and_resumes_in_two_processes(tmp_path, model_path, data_path, name, lora):  # noqa: F811
    peft = {"use_peft": True, "lora_target_modules": ["q_proj", "v_proj"]} if lora else {}
    config = on_cpu(
        tmp_path,
        dataset_path=str(data_path),
        model_name_or_path=str(model_path),
        per_device_train_batch_size=4,
        save_steps=1,
        gradient_checkpointing=True,
        **peft,
    )
    run = tmp_path / "run"

    def launch(*words: str) -> None:
        cpu = ["--cpu"] if name == "ddp" else [str(AS_IF_GPUS)]
        launcher = ["--config_file", str(FILES / f"{name}.yaml"), "--num_processes", "2"]
        launcher += ["--mixed_precision", "no", *cpu]
        script = [str(REPOSITORY / "recipes" / "grpo.py"), "--config", str(config), *words]
        done = subprocess.run(
            [sys.executable, "-m", "accelerate.commands.launch", *launcher, *script],
            capture_output=True,
            text=True,
            timeout=800,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        )
        assert done.returncode == 0, done.stderr[-3000:]

    launch()
    launch("--max_steps", "3", "--resume_from_checkpoint", "true")
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    assert {row["step"] for row in read_ledger(run / "ledger").to_pylist()} == {1, 2, 3}
    saved = "adapter_model.safetensors" if lora else "model.safetensors"
    assert (run / saved).is_file()
