"""Guards the shell scripts: their syntax, and that set-up does nothing twice and says which step failed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["scripts/setup", "scripts/demo", "scripts/test", ".ci/run"]

# Stands for the environment's Python: notes what pip is asked for, and installs nothing.
FAKE_PYTHON = """#!/usr/bin/env bash
if [[ "$1" == -m && "$2" == pip && "$3" == install ]]; then
    echo "$@" >> {log}
    exit {status}
fi
exec {python} "$@"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts" / "setup")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def fake_python(project, status=0):
    python = project / ".venv" / "bin" / "python"
    python.write_text(FAKE_PYTHON.format(log=project / "log", status=status, python=sys.executable))
    python.chmod(0o755)


def setup(project, *args, **env):
    log = project / "log"
    log.unlink(missing_ok=True)
    result = subprocess.run(
        [project / "scripts" / "setup", *args], capture_output=True, text=True, env={**os.environ, **env}
    )
    return result, len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_parse_and_are_executable(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert os.access(ROOT / script, os.X_OK)


def test_setup_installs_once_and_again_when_pyproject_changes(project):
    fake_python(project)
    result, num_installs = setup(project)
    assert result.returncode == 0 and num_installs >= 1
    assert setup(project)[1] == 0
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert setup(project)[1] == num_installs


def test_a_failed_setup_says_so_and_is_not_taken_for_a_finished_one(project):
    fake_python(project, status=1)
    result, _ = setup(project)
    assert result.returncode != 0
    assert "setup: failed at: installing" in result.stderr and "check the network" in result.stderr
    fake_python(project)
    assert setup(project)[1] >= 1


def test_setup_without_a_recent_python_says_what_to_do(project):
    result, _ = setup(project, PYTHON="no-such-python")
    assert result.returncode != 0
    assert "Install Python 3.11 or later" in result.stderr


def test_setup_refuses_unknown_arguments(project):
    result, _ = setup(project, "--vlm")
    assert result.returncode != 0 and "usage: scripts/setup [--vllm]" in result.stderr


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("scripts/setup", "-m pip install"),
        ("scripts/demo", "recipes/demo.py"),
        ("scripts/test", "-m pytest"),
        (".ci/run", "scripts/test"),
    ],
)
def test_each_script_does_what_it_is_for(script, command):
    """Bash accepts an empty file, and an empty test script passes."""
    assert command in (ROOT / script).read_text()
