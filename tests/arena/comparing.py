"""Starts `rlkit compare` as a process, on configs made here."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}


def command(config, out, *words):
    return [sys.executable, "-m", "rlkit.cli", "compare", str(config), "--out", str(out), *words]


def compare(config, out, *words):
    return subprocess.run(
        command(config, out, *words), capture_output=True, text=True, env=ENVIRONMENT, timeout=400
    )


def write_config(folder, **settings):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def scripted(folder, **settings):
    """A config of script.py."""
    return write_config(folder, recipe=str(ROOT / "tests" / "arena" / "script.py"), **settings)
