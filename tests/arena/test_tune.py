"""Guards `rlkit compare --tune`: rungs and scores by hand, the value that is best, and what diverges."""

import json
from pathlib import Path

import numpy as np
import pytest
from comparing import compare, scripted
from rich.console import Console

from rlkit.arena.plan import Comparison
from rlkit.arena.tune import Tuning, _score, parse_tune, tune
from rlkit.report.curves import Curve
from rlkit.settings.budget import Budget


def curve(*accuracy: float) -> Curve:
    """A run that was evaluated every ten rollouts."""
    cost = {axis: np.arange(len(accuracy)) * 10.0 for axis in ("steps", "rollouts", "tokens", "seconds")}
    return Curve(np.array(accuracy), cost, 0.5, 0.0, {})


@pytest.mark.parametrize(
    ("num", "rungs"),
    [
        (2, [(2, 1 / 2)]),
        (3, [(3, 1 / 4), (2, 1 / 2)]),
        (4, [(4, 1 / 4), (2, 1 / 2)]),
        (8, [(8, 1 / 8), (4, 1 / 4), (2, 1 / 2)]),
    ],
)
def test_half_of_the_values_go_on_to_twice_the_budget(num, rungs):
    assert Tuning("rate", tuple(map(str, range(num)))).rungs() == rungs


def test_a_score_is_the_area_over_the_budget_and_a_run_below_its_start_diverged():
    budget = Budget("rollouts", 20.0)
    assert _score([curve(0.0, 1.0, 1.0)], budget) == pytest.approx(0.75, abs=0.01)
    assert _score([curve(0.0, 1.0, 1.0), curve(0.0, 0.0, 0.0)], budget) == pytest.approx(0.375, abs=0.01)
    assert _score([curve(0.5, 0.9, 0.4)], budget) is None
    assert _score([curve(0.0, 1.0, 1.0), None], budget) is None


@pytest.mark.slow
def test_each_curriculum_is_measured_at_its_best_value(tmp_path):
    config, out = scripted(tmp_path, fails="dapo 7"), tmp_path / "out"
    words = ["--curricula", "uniform,dapo", "--seeds", "3", "--budget", "steps=8", "--vary", "lamp=red"]
    words += ["--tune", "rate=1,2,3,20", "--tune-starts", "blue"]
    done = compare(config, out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    tuned = json.loads((out / "tuned.json").read_text())["curricula"]
    assert {name: entry["value"] for name, entry in tuned.items()} == {"uniform": "2", "dapo": "2"}
    assert tuned["dapo"]["scores"]["20"] is None and not tuned["dapo"]["edge"]
    report = (out / "report.md").read_text()
    assert "## Tuned: rate" in report and "diverged" in report and "## What was found" in report
    starts = {path.read_text().split()[1] for path in out.glob("lamp-*/*/starts.txt")}
    tried = {path.read_text().split()[1] for path in out.glob("tuning/*/lamp-*/*/starts.txt")}
    assert starts == {"red"} and tried == {"blue"}
    seeds = {path.parent.name for path in out.glob("tuning/*/*/uniform")}
    assert seeds == {"lamp-blue-seed-3"}, "seeds that are not measured"

    again = compare(config, out, *words)
    assert again.returncode == 0 and "tuning rate" not in again.stdout
    assert "6 of 6 runs are there already" in again.stdout
    untuned = compare(config, out, *words[:8])
    assert untuned.returncode == 2 and "own" in untuned.stderr
    other = compare(config, out, *words[:8], "--tune", "rate=1,2", "--tune-starts", "blue")
    assert other.returncode == 2 and "tuned on another grid" in other.stderr


@pytest.mark.parametrize(
    ("text", "starts", "vary", "message"),
    [
        ("rate=1", None, None, r"tune \(rate=1\) has one value"),
        ("rate", None, None, r"tune \('rate'\) must be FIELD=VALUE,VALUE"),
        ("rate=1,1", None, None, r"each value once"),
        ("lamp=1,2", "c", ("lamp", ("a", "b")), "tune another field"),
        (
            "rate=1,2",
            None,
            ("lamp", ("a", "b")),
            r"tune_starts \(\) must name values of the varied field \(lamp\)",
        ),
        ("rate=1,2", "a", None, r"tune_starts \(a\) must name values of the varied field \(none\)"),
        ("rate=1,2", "b,c", ("lamp", ("a", "b")), "share b: what a value was chosen on is no evidence"),
    ],
)
def test_mistakes_are_told_before_anything_runs(tmp_path, text, starts, vary, message):
    comparison = Comparison(
        Path("none.yaml"), ("uniform",), (0,), Budget("steps", 8.0), tmp_path / "out", vary=vary
    )
    with pytest.raises(ValueError, match=message):
        tune(comparison, parse_tune(text, 1, starts), 1, Console())
    assert not (tmp_path / "out").exists()


def test_a_curriculum_that_diverges_at_every_value_is_told(tmp_path):
    words = ["--curricula", "uniform", "--seeds", "1", "--budget", "steps=8", "--tune", "rate=20,30"]
    done = compare(scripted(tmp_path), tmp_path / "out", *words)
    assert done.returncode == 2
    assert "tune (rate=20,30): uniform diverged or failed at every value" in done.stderr


def test_a_curriculum_that_fails_at_every_value_is_left_out(tmp_path):
    config, out = scripted(tmp_path, fails="dapo 1"), tmp_path / "out"
    words = ["--curricula", "uniform,dapo,greso", "--seeds", "1", "--budget", "steps=8", "--tune", "rate=1,2"]
    done = compare(config, out, *words)
    assert done.returncode == 1
    assert "dapo diverged or failed at every value" in " ".join(done.stdout.split())
    assert list(json.loads((out / "tuned.json").read_text())["curricula"]) == ["uniform", "greso"]
    report = (out / "report.md").read_text()
    assert "greso" in report and "dapo" not in report
