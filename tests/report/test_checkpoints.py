"""Guards the picture of checkpoints: of one benchmark and of many, from the records of an evaluation."""

import pytest
from matplotlib import image

from rlkit.report.checkpoints import Point, checkpoint_lines, plot_checkpoints


def points(num):
    return [Point(100 * n, n / (num + 1), (0.0, 1.0), 50.0 * n) for n in range(num)]


@pytest.mark.parametrize(("names", "rows"), [("a", 1), ("abcd", 1), ("abcde", 2)])
def test_a_panel_a_benchmark_in_rows_of_four(tmp_path, names, rows):
    benchmarks = {name: {"one": points(3), "other": points(2)} for name in names}
    plot_checkpoints(benchmarks, tmp_path / "checkpoints.png", "run")
    height, width, _ = image.imread(tmp_path / "checkpoints.png").shape
    assert height == round((3.8 * rows + 0.4) * 120)
    assert width == round(max(3.4 * (len(names) if rows == 1 else 3), 5) * 120)


def record(model, benchmark, accuracy):
    interval = [accuracy - 0.1, accuracy + 0.1]
    return {
        "model": model,
        "benchmark": benchmark,
        "accuracy": accuracy,
        "accuracy_interval": interval,
        "mean_tokens": 7.0,
    }


def test_lines_are_the_runs_with_several_checkpoints_in_order_of_steps():
    models = ["a/checkpoint-100", "a/checkpoint-20", "b/checkpoint-20", "Qwen/Qwen2.5-0.5B"]
    records = [record(model, "x", number / 10) for number, model in enumerate(models)]
    records.append(record("a/checkpoint-20", "y", 0.5))
    steps = {"a/checkpoint-100": 100, "a/checkpoint-20": 20, "b/checkpoint-20": 20}
    lines = checkpoint_lines(records, steps)
    assert list(lines) == ["x"] and list(lines["x"]) == ["a"]
    assert [(point.step, point.accuracy) for point in lines["x"]["a"]] == [(20, 0.1), (100, 0.0)]
    assert lines["x"]["a"][0].interval == (0.0, 0.2) and lines["x"]["a"][0].mean_tokens == 7.0


def test_runs_of_one_name_are_told_apart_by_their_folders():
    models = [f"{run}/seed-0/checkpoint-{step}" for run in ("a", "b") for step in (1, 2)]
    steps = {model: int(model[-1]) for model in models}
    lines = checkpoint_lines([record(model, "x", 0.5) for model in models], steps)
    assert list(lines["x"]) == ["a/seed-0", "b/seed-0"]
