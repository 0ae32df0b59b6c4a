"""Guards what is read of a run, and the paired intervals."""

import json

import numpy as np
import pytest

from rlkit.report.curves import paired_mean, paired_ratio, read_curve, read_heldout
from rlkit.settings.budget import AXES, Budget


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def metrics_rows(num_steps):
    return [
        {
            **dict.fromkeys(AXES.values(), 10.0 * step),
            "step": step,
            "effective_ratio": 0.5,
            "seconds/selection": 0.1,
            "calibration/brier": 0.2 + step,
            "calibration/spearman": None,
        }
        for step in range(1, num_steps + 1)
    ]


@pytest.fixture
def run(tmp_path):
    write_lines(tmp_path / "metrics.jsonl", metrics_rows(8))
    return tmp_path


def trl_state(run, step, history):
    folder = run / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))


def test_heldout_lines_and_metrics_join(run):
    write_lines(run / "heldout.jsonl", [{"step": step, "accuracy": step / 10} for step in (0, 4, 8)])
    curve = read_curve(run)
    np.testing.assert_allclose(curve.accuracy_E, [0, 0.4, 0.8])
    np.testing.assert_allclose(curve.cost["rollouts"], [0, 40, 80])
    np.testing.assert_allclose(curve.cost["steps"], [0, 4, 8])
    assert curve.selection_seconds == pytest.approx(0.8)
    assert curve.calibration == {"brier": 8.2}
    # Three evaluations are one smoothed point.
    assert curve.end("rollouts") == 40 and curve.accuracy_at(1e9, "rollouts") == pytest.approx(0.4)


def test_what_lies_beyond_the_budget_is_left_out(run):
    write_lines(run / "heldout.jsonl", [{"step": step, "accuracy": step / 10} for step in range(9)])
    curve = read_curve(run, Budget("rollouts", 45))
    assert curve.cost["steps"].max() == 5
    assert curve.selection_seconds == pytest.approx(0.5)
    assert curve.calibration == {"brier": 5.2}


def test_accuracy_from_trls_evaluations_of_the_newest_checkpoint(run):
    name = "eval_rewards/exact/mean"
    trl_state(run, 9, [{"step": 0, name: 0.9}])
    trl_state(
        run, 10, [{"step": 0, name: 0.1}, {"step": 3, "loss": 1.0}, {"step": 4, name: 0.3, "eval_reward": 9}]
    )
    assert read_heldout(run) == [(0, 0.1), (4, 0.3)]
    assert read_heldout(run, "eval_reward") == [(4, 9)]


def test_a_run_without_heldout_accuracy_says_how_to_get_one(run):
    with pytest.raises(ValueError, match=r"neither heldout.jsonl nor evaluations .* set eval_strategy"):
        read_curve(run)


def test_of_several_rewards_one_must_be_chosen(run):
    trl_state(run, 1, [{"step": 1, "eval_rewards/a/mean": 0.1, "eval_rewards/b/mean": 0.2}])
    with pytest.raises(ValueError, match="set metric to one: eval_rewards/a/mean, eval_rewards/b/mean"):
        read_heldout(run)
    assert read_heldout(run, "eval_rewards/b/mean") == [(1, 0.2)]
    with pytest.raises(ValueError, match=r"metric='eval_x' \(there are: eval_rewards/a/mean"):
        read_heldout(run, "eval_x")


def test_ratio_by_hand():
    assert paired_ratio([5, 20], [10, 40]) == pytest.approx((0.5, 0.5, 0.5))
    ratio, low, high = paired_ratio([1, 4], [1, 1])
    assert (ratio, low, high) == pytest.approx((2, 1, 4))
    assert paired_ratio([1, np.nan], [2, 2])[0] == pytest.approx(0.5)
    assert np.isnan(paired_ratio([np.nan], [2])).all()


def test_blocks_are_resampled_together():
    rng = np.random.default_rng(0)
    of_block = rng.normal(size=6)
    values = np.repeat(of_block, 50)
    _, low, high = paired_mean(values.tolist())
    _, block_low, block_high = paired_mean(values.tolist(), np.repeat(np.arange(6), 50).tolist())
    assert block_high - block_low > 4 * (high - low)
    np.testing.assert_allclose(paired_mean(of_block.tolist())[1:], [block_low, block_high])


def test_the_interval_holds_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    held = 0
    for trial in range(300):
        _, low, high = paired_mean(rng.normal(size=40).tolist(), seed=trial, num_resamples=1000)
        held += low <= 0 <= high
    assert held / 300 == pytest.approx(0.95, abs=0.04)
