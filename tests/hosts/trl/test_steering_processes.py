"""Guards commands to a run of two processes: they take effect on both at the same step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from steered import told

pytestmark = pytest.mark.slow


def test_a_command_takes_effect_on_both_processes_at_the_same_step(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = Path(__file__).with_name("steered_processes.py")
    done = subprocess.run([*launch, str(script), str(tmp_path)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    early, late = [3e-3, 0.5, [1.0, 1.0], 10, 10], [3e-3, 0.5, [1.0, 0.5], 2, 10]
    assert one["rows"] == [
        [1, 1e-2, 1.0, [1.0, 1.0], 10, 0],
        [2, *early],
        [3, *late],
        [4, *late],
        # Back at the checkpoint, which was saved after the changes.
        [3, *late],
        [4, *late],
        [5, *late],
        [6, *late],
    ]
    assert [line for line in told(tmp_path) if line[1] in ("pause", "checkpoint", "go_on", "load")] == [
        (3, "pause", "running", None),
        (3, "checkpoint", "running", None),
        (3, "checkpoint", "done", "checkpoint-2"),
        (3, "pause", "done", None),
        (3, "load", "done", "checkpoint-2"),
    ]
