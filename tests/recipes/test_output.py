"""Guards what the recipe shows: every line of a real launch, and a mistake as one line under the launcher."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
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
        timeout=800,
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


@pytest.mark.slow
def test_on_a_terminal_the_lines_stand_above_the_bar(tmp_path, model_path, data_path):  # noqa: F811
    data = {"dataset_path": str(data_path), "model_name_or_path": str(model_path)}
    config = on_cpu(tmp_path, **data, eval_strategy="no", eval_on_start=False, curriculum="uniform")
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 110, 0, 0))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, GRPO, "--config", str(config)]
    process = subprocess.Popen(words, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # the end of a terminal whose programs have gone
        while part := os.read(reader, 4096):
            shown += part
    os.close(reader)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    # What remains of each line once the cursor has gone back to its start: the bar is wiped before a text.
    lines = [part for line in text.split("\n") for part in line.split("\r") if part.strip()]
    assert any("2/2 [" in line for line in lines), "the bar"
    ours = [line for line in lines if "%|" not in line]
    assert [line.split()[0] for line in ours] == [
        "rlkit:",
        "step",
        "step",
        "rlkit:",
        "look",
        "evaluate",
        "go",
    ]
    assert not any("%|" in line and ("rlkit" in line or "reward" in line) for line in lines)


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
