"""Guards the benchmark of selection, and that what it measures does not grow with the pool."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_selection.py"


def bench(tmp_path, *words) -> tuple[str, dict]:
    out = tmp_path / "out.json"
    command = [sys.executable, SCRIPT, "--json", out, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=800)
    return done.stdout, json.loads(out.read_text())


def test_it_prints_a_table_and_writes_every_number(tmp_path):
    printed, found = bench(
        tmp_path, "--presets", "uniform,rlkit_replay", "--sizes", "9000,20000", "--steps", "2"
    )
    lines = printed.splitlines()
    assert lines[0].startswith("| preset | 9,000: s / MB / ms | 20,000: s / MB / ms |") and len(lines) == 4
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| uniform", "| rlkit_replay"]
    for sizes in found.values():
        assert list(sizes) == ["9000", "20000"]
        for one in sizes.values():
            assert len(one["step_ms"]) == len(one["step_processor_ms"]) == 2
            assert one["ready_seconds"] > 0 and one["resident_mb"] > 10


@pytest.mark.parametrize("preset", ["mopps", "greso", "pools", "sec", "prefilter"])
def test_a_step_does_not_grow_with_the_pool(tmp_path, preset):
    _, found = bench(tmp_path, "--presets", preset, "--sizes", "20000,1000000", "--steps", "15")
    small, large = found[preset].values()
    # The least of a few steps: what other work on the machine leaves of them.
    assert min(large["step_processor_ms"]) < 3 * min(small["step_processor_ms"]) + 0.5
    assert large["resident_mb"] < small["resident_mb"] + 150  # bytes a prompt, all told
    assert np.median(large["step_processor_ms"]) < 50
