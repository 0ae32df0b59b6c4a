"""Guards the verdicts of a comparison: equal cost, ratios, censoring, missing runs, and their tables."""

import json

import numpy as np
import pytest

from rlkit.report.comparison import default_targets, summarize
from rlkit.report.curves import Curve
from rlkit.report.figure import mean_line, plot_curves
from rlkit.report.tables import to_markdown
from rlkit.settings.budget import AXES


def line(slope, num_evaluations=11, each=10.0, start=0.0):
    """Accuracy that rises by `slope` an evaluation; `each` rollouts, tokens, steps, seconds between them."""
    cost = each * np.arange(num_evaluations)
    accuracy = start + slope * np.arange(num_evaluations)
    return Curve(accuracy, dict.fromkeys(AXES, cost), 0.5, 2.0, {"brier": 0.2})


def compared(runs, targets=(), block_R=None):
    num = len(next(iter(runs.values())))
    return summarize(runs, range(num) if block_R is None else block_R, targets)


def cost_of(runs, target, name="other", axis="rollouts"):
    return compared(runs, [target])["curricula"][name]["cost"][f"{target:.4g}"][axis]


def test_cost_ratio_of_straight_lines():
    runs = {"base": [line(0.04)] * 3, "other": [line(0.08)] * 3}
    entry = cost_of(runs, 0.2)
    assert entry["ratio"] == pytest.approx(0.5)
    assert entry["interval"] == pytest.approx([0.5, 0.5])
    assert entry["mean"] == pytest.approx(25)
    assert (entry["reached"], entry["pairs"], entry["bound"], entry["verdict"]) == (3, 3, None, "cheaper")


def test_an_interval_around_1_shows_no_difference():
    base = [line(0.05)] * 4
    other = [line(0.05 * factor) for factor in (0.8, 1.2, 0.9, 1.15)]
    summary = compared({"base": base, "other": other}, [0.2])
    low, high = summary["curricula"]["other"]["cost"]["0.2"]["steps"]["interval"]
    assert low < 1 < high
    assert summary["curricula"]["other"]["cost"]["0.2"]["steps"]["verdict"] == "no difference shown"
    assert summary["curricula"]["other"]["accuracy"]["steps"]["verdict"] == "no difference shown"
    assert "no difference shown" in to_markdown(summary)


def test_accuracy_is_read_at_the_largest_cost_that_all_reached():
    runs = {"base": [line(0.05)] * 3, "other": [line(0.06, num_evaluations=6)] * 3}
    summary = compared(runs)
    assert summary["equal_cost"] == pytest.approx(dict.fromkeys(AXES, 40.0))  # smoothed over the last three
    entry = summary["curricula"]["other"]["accuracy"]["tokens"]
    assert entry["mean"] == pytest.approx(0.24)
    assert entry["difference"] == pytest.approx(0.04)
    assert entry["verdict"] == "better"


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [
        # The other never arrives: its cost is at least its end, 90; the baseline needs 25 or 80.
        ([0.08] * 3, [0.01] * 3, ("at least", 90 / 25, "dearer", 0)),
        ([0.025] * 3, [0.01] * 3, ("at least", 90 / 80, "dearer", 0)),
        # The baseline never arrives.
        ([0.01] * 3, [0.08] * 3, ("at most", 25 / 90, "cheaper", 3)),
        # Both never: nothing is known.
        ([0.01] * 3, [0.01] * 3, (None, None, "not known", 0)),
        # One pair censored on each side.
        ([0.08, 0.01, 0.08], [0.01, 0.08, 0.08], ("unbounded", 1.0, "no difference shown", 2)),
        # A pair that neither reached is left out of the ratio, and counted.
        ([0.04, 0.04, 0.04, 0.01], [0.08, 0.08, 0.08, 0.01], (None, 0.5, "cheaper", 3)),
    ],
)
def test_censored_runs_bound_the_ratio(base, other, expected):
    runs = {"base": [line(slope) for slope in base], "other": [line(slope) for slope in other]}
    entry = cost_of(runs, 0.2)
    bound, ratio, verdict, reached = expected
    assert (entry["bound"], entry["verdict"], entry["reached"]) == (bound, verdict, reached)
    assert entry["ratio"] == (None if ratio is None else pytest.approx(ratio))


def test_a_lower_bound_below_1_is_not_called_cheaper():
    # A short censored run: at least 0.1 of the baseline's cost, which says nothing.
    runs = {"base": [line(0.025)] * 3, "other": [line(0.01, num_evaluations=3)] * 3}
    entry = cost_of(runs, 0.2)
    assert entry["interval"][1] < 1 and entry["verdict"] == "no difference shown"


def test_fewer_than_three_starts_give_no_verdict():
    runs = {"base": [line(0.04)] * 2, "other": [line(0.08)] * 2}
    assert cost_of(runs, 0.2)["verdict"] == "too few runs to say"
    four = {name: column * 2 for name, column in runs.items()}
    entry = compared(four, [0.2], block_R=[0, 0, 1, 1])["curricula"]["other"]
    assert entry["cost"]["0.2"]["steps"]["verdict"] == "too few runs to say"
    assert entry["accuracy"]["steps"]["verdict"] == "too few runs to say"


def test_failed_runs_leave_their_pairs_out():
    runs = {"base": [line(0.04), line(0.04), None, line(0.04)], "other": [None, *[line(0.08)] * 3]}
    summary = compared(runs, [0.2])
    entry = summary["curricula"]["other"]
    assert entry["runs"] == 3 and entry["cost"]["0.2"]["steps"]["pairs"] == 2
    assert entry["accuracy"]["steps"]["runs"][0] is None
    without = compared({"base": [None] * 3, "other": [line(0.08)] * 3}, [0.2])
    assert without["curricula"]["other"]["cost"]["0.2"]["steps"]["verdict"] == "not known"
    for made in (summary, without):
        json.loads(json.dumps(made, allow_nan=False))
        assert "nan" not in to_markdown(made)


def test_targets_follow_the_baseline_unless_given():
    assert default_targets([line(0.05, start=0.2)]) == pytest.approx([0.2 + 0.5 * 0.45, 0.2 + 0.8 * 0.45])
    assert default_targets([line(-0.01, start=0.5)]) == default_targets([None]) == []
    flat = compared({"base": [line(0.0)]})
    assert flat["targets"] == [] and "gained nothing" in to_markdown(flat)
    assert compared({"base": [line(0.05)]}, [0.3])["targets_from_baseline"] is False


def test_account_holds_selection_and_calibration():
    entry = compared({"base": [line(0.05)] * 2})["curricula"]["base"]
    assert entry["selection_seconds"] == 2.0
    assert entry["selection_share"] == pytest.approx(2 / 100)
    assert entry["calibration"] == {"brier": pytest.approx(0.2), "spearman": None, "explained_variance": None}


def test_the_report_names_baseline_bounds_and_failures():
    runs = {"base": [line(0.08)] * 3, "other": [line(0.01)] * 3}
    summary = {
        "config": "my.yaml",
        "budget": "steps=9",
        "seeds": [0, 1, 2],
        "vary": None,
        "failed": ["other seed-2"],
        **compared(runs, [0.2]),
    }
    report = to_markdown(summary)
    assert "| 0.2 | base | 3 of 3 | 25 | 25 | 25 | 25 |" in report
    assert "at least x3.60 [3.60 to 3.60], dearer" in report
    assert "Failed and left out: other seed-2" in report
    assert "`my.yaml`, budget steps=9 a run, seeds 0, 1, 2. Baseline: base." in report


def test_mean_line_ends_with_the_shortest_run(tmp_path):
    grid, accuracy = mean_line([line(0.02), line(0.04, num_evaluations=6)], "tokens")
    assert grid[-1] == 50
    assert accuracy[-1] == pytest.approx(0.15)
    plot_curves({"a": [line(0.02), line(0.04)], "b": [line(0.03)]}, tmp_path / "curves.png", "two")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
