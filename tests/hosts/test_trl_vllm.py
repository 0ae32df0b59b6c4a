"""Guards generation with real vLLM in the trainer's process, on a CPU build: weights follow the policy."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_trl import metrics

from rlkit.ledger import read_ledger

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]

FRESH = 1e-4
"""A stale engine shows as a difference of 0.1 and more at this learning rate."""


@pytest.mark.parametrize("words", [[], ["--peft"]])
def test_filtered_curriculum_generates_with_vllm(tmp_path, words):
    differences = run_in_its_process(tmp_path / "run", *words)
    assert max(differences) < FRESH
    rows = read_ledger(tmp_path / "run" / "ledger").to_pylist()
    for step in range(1, 5):
        assert sum(row["trained"] for row in rows if row["step"] == step) == 4


def test_vllm_judges_with_a_limit_of_its_own(tmp_path):
    assert max(run_in_its_process(tmp_path / "run", "--curriculum", "metis")) < FRESH
    rows = read_ledger(tmp_path / "run" / "ledger").to_pylist()
    for line in metrics(tmp_path / "run"):
        rollouts = [sum(row["lengths"]) for row in rows if row["step"] == line["step"]]
        # 16 judgements a step, of 5 tokens unless the end token comes before; rollouts end after 3.
        assert 3 * 16 < line["tokens/generated"] - sum(rollouts) <= 5 * 16
        assert line["self_judgement/unparseable"] < 1


def test_replayed_completions_have_the_ratio_to_their_own_policy(tmp_path):
    """TRL's importance correction compares with the logprobs of the time when they were sampled."""
    differences = run_in_its_process(tmp_path / "run", "--curriculum", "ssb")
    stale = [line["rollouts/stale"] > 0 for line in metrics(tmp_path / "run")]
    assert any(stale)
    for is_stale, difference in zip(stale, differences, strict=True):
        assert difference > 1e-2 if is_stale else difference < FRESH


@pytest.mark.parametrize("words", [[], ["--peft"]])
def test_benchmarks_run_on_the_trainers_vllm_and_leave_it_in_step(tmp_path, words):
    """Sampled with settings of their own; then the training goes on with its own, and with fresh weights."""
    rows = [json.dumps({"question": f"{number:03d}="}) for number in range(20)]
    (tmp_path / "digits.jsonl").write_text("\n".join(rows))
    command = script_command(tmp_path / "run", "--benchmark", str(tmp_path / "digits.jsonl"), *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    logged, differences = map(json.loads, done.stdout.splitlines()[-2:])
    assert max(differences) < FRESH
    assert [row["step"] for row in logged] == [2, 4]
    for row in logged:
        assert 3 < row["eval_digits/tokens"] <= 6, "longer than the rollouts' 3"
        assert row["eval_digits/pass@4"] >= row["eval_digits/accuracy"] > 0
        assert row["eval_digits/truncated"] < 1


def run_in_its_process(folder, *words) -> list[float]:
    """The greatest difference, a step each, of the trainer's logprobs and the sampler's."""
    command = script_command(folder, *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    differences = json.loads(done.stdout.splitlines()[-1])
    assert len(differences) == 4
    return differences


def script_command(folder, *words) -> list[str]:
    return [sys.executable, str(Path(__file__).parent / "vllm_run.py"), str(folder), *words]
