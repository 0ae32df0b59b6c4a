"""Makes runs of `vllm_run.py` and says what they left; loads no vLLM."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tiny_trl import metrics

FRESH = 1e-4
"""Difference of logprobs. A stale engine shows one of 0.1 and more at this learning rate."""
NUMBERS = {"speed": {"screen": 2}, "metis": {"judgement_length": 5, "judgement_weight": 1.0}}
"""Settings of presets that do not suit groups of four, or tiny models, by themselves."""


def make_runs(folder: Path, runs: dict) -> Path:
    """The folder with all runs in it; those of a model lie together, as its engine is loaded for them."""
    rows = [json.dumps({"question": f"{number:03d}="}) for number in range(20)]
    (folder / "digits.jsonl").write_text("\n".join(rows))
    ordered = dict(sorted(runs.items(), key=lambda item: item[1].get("tied", False)))
    (folder / "runs.json").write_text(json.dumps(ordered))
    command = [sys.executable, str(Path(__file__).parent / "vllm_run.py"), str(folder)]
    environment = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def seen(run: Path) -> dict:
    return json.loads((run / "seen.json").read_text())


def sampling(run: Path) -> list[dict]:
    """TRL's comparison of the policy with the sampler, a dictionary a generation."""
    rows = [row for row in seen(run)["log"] if "sampling/sampling_logp_difference/max" in row]
    return [{name[9:]: row[name] for name in row if name.startswith("sampling/")} for row in rows]


def calls(run: Path, kind: str) -> list[dict]:
    return [call for call in seen(run)["calls"] if call["call"] == kind]


def is_fresh(row: dict) -> bool:
    ratios = [row[f"importance_sampling_ratio/{name}"] for name in ("min", "mean", "max")]
    differences = [row[f"sampling_logp_difference/{name}"] for name in ("mean", "max")]
    return max(differences) < FRESH and max(abs(ratio - 1) for ratio in ratios) < 1e-3


def assert_follows(run: Path, first: int = 0) -> None:
    """Weights went over once a step, and where all completions are new, sampler and policy agree."""
    assert [call["step"] for call in calls(run, "sync")] == list(range(first, 4))
    stale = [line["rollouts/stale"] > 0 for line in metrics(run)]
    for was_stale, row in zip(stale, sampling(run), strict=True):
        assert was_stale or is_fresh(row), row
    assert not all(stale)
