"""Guards generation with real vLLM in the trainer's process, on a CPU build: weights follow the policy."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from rlkit.ledger import read_ledger

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]


@pytest.mark.parametrize("words", [[], ["--peft"]])
def test_filtered_curriculum_generates_with_vllm(tmp_path, words):
    script = Path(__file__).parent / "vllm_run.py"
    command = [sys.executable, str(script), str(tmp_path / "run"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    differences = json.loads(done.stdout.splitlines()[-1])
    assert len(differences) == 4
    # A stale engine shows as a difference of 0.1 and more at this learning rate.
    assert max(differences) < 1e-4
    rows = read_ledger(tmp_path / "run" / "ledger").to_pylist()
    for step in range(1, 5):
        assert sum(row["trained"] for row in rows if row["step"] == step) == 4
