"""Guards an engine call that fails while other processes wait for it (torchrun, TRL's collectives)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_a_server_that_fails_once_is_asked_again_and_no_process_notices(tmp_path):
    script = str(Path(__file__).parent / "failing_engine.py")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *torchrun, script, str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for rank, seen in enumerate((first, second)):
        assert seen["given"] == [[[rank, number]] * 2 for number in range(3)]
    assert (first["failed"], second["failed"]) == (1, 0)
    both = [[[0, number], [1, number]] for number in range(3)]
    assert first["requests"] == [both[0], both[1], both[1], both[2]]  # that request alone, again
