"""Guards what the recipe shows: every line of a real launch, and a mistake as one line under the launcher."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_grpo import REPOSITORY, data_path, model_path, on_cpu  # noqa: F401 (fixtures)

GRPO = str(REPOSITORY / "recipes" / "grpo.py")
FILES = REPOSITORY / "recipes" / "accelerate"
AS_IF_GPUS = REPOSITORY / "tests" / "hosts" / "trl" / "as_if_gpus.py"


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess:
    """`rlkit launch` of a process of its own, without what this shell has set."""
    environment = {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}
    return subprocess.run(
        [sys.executable, "-m", "rlkit.cli", "launch", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**environment, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY), **variables},
    )


@pytest.mark.slow
def test_every_line_of_a_launch_is_ours(tmp_path, model_path, data_path):  # noqa: F811
    config = on_cpu(tmp_path, dataset_path=str(data_path), model_name_or_path=str(model_path), save_steps=1)
    done = run("--cpu", GRPO, "--config", config)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [re.split(r"[ :]", line.strip())[0] for line in lines] == [
        "rlkit",
        *["step"] * 4,  # an evaluation before and after the two steps
        "rlkit",
        "look",
        "evaluate",
        "go",
    ]
    (warning,) = done.stderr.splitlines()  # of the eight rows of data
    assert warning.startswith("rlkit: warning: candidates (4) times the 4 prompts of a batch")


def test_a_mistake_is_one_line_under_the_launcher(tmp_path):
    config = on_cpu(tmp_path, curriculum="pcl2")
    done = run("--cpu", GRPO, "--config", config)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("rlkit: curriculum='pcl2' is not a preset; there are: uniform, dapo")


@pytest.mark.slow
def test_a_mistake_is_one_line_of_two_processes(tmp_path):
    config = on_cpu(tmp_path, curriculum="pcl2", per_device_train_batch_size=4)
    processes = ["--config_file", FILES / "fsdp2.yaml", "--num_processes", "2", "--mixed_precision", "no"]
    done = run(*processes, AS_IF_GPUS, GRPO, "--config", config)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "rlkit: curriculum='pcl2' is not a preset" in line


def test_the_launcher_keeps_the_exit_code(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(7)")
    done = run("--cpu", script)
    assert (done.returncode, done.stderr, done.stdout) == (7, "", "")
    done = run()
    assert done.returncode == 2 and done.stderr.startswith("rlkit: the script is missing")
