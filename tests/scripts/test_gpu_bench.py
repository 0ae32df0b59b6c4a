"""Guards the benchmarks of stages and identification, through the GPU script's small version."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_bench.py"


@pytest.mark.slow
def test_every_measurement_in_small(tmp_path):
    command = [sys.executable, str(SCRIPT), "--small", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["left_out"] == [] and results["failed"] == {}
    for curriculum in ("uniform", "dapo", "pcl", "rlkit"):
        row = results[f"tiny {curriculum}"]
        stages = [row[name] for name in ("selection", "generation", "grading", "update")]
        assert min(stages) >= 0 and sum(stages) == pytest.approx(row["seconds"], rel=0.01)
        assert row["tokens_per_second"] > 0 and row["peak_mb"] > 100
    assert results["tiny dapo"]["effective_ratio"] == 1
    found = results["tiny identification"]
    assert found["ratio"] == pytest.approx(found["rollout_seconds"] / found["value_model_seconds"])
    assert "| `rlkit` | 8 |" in (tmp_path / "report.md").read_text()


def test_what_does_not_fit_is_named(tmp_path):
    command = [sys.executable, str(SCRIPT), "--small", "--out", str(tmp_path), "--minutes", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["left_out"]) == 6 and "left out: tiny plain" in done.stdout


def test_without_a_gpu_it_says_so(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 2 and "no CUDA device; --small" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_comparison_in_small(tmp_path):
    pytest.importorskip("reasoning_gym")
    script = SCRIPT.with_name("gpu_compare.py")
    command = [sys.executable, str(script), "--small", "--seeds", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((tmp_path / "runs" / "summary.json").read_text())
    assert "uniform" in json.dumps(summary) and "rlkit" in json.dumps(summary)
    assert (tmp_path / "runs" / "curves.png").stat().st_size > 10_000
