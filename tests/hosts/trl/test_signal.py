"""Guards what the curriculum looks at: the signal, missing rewards, and rewards that fail."""

import logging
import math

import numpy as np
import pytest
from tiny_trl import (
    NUM_GENERATIONS,
    Recorder,
    by_place,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_trainer,
    metrics,
    share_of_ones,
    success_rate,
)

from rlkit import CurriculumConfig


def test_filter_looks_at_the_signal_alone(tmp_path):
    """The shaped part of the reward differs in every group; the signal decides."""
    config = CurriculumConfig(curriculum="dapo", curriculum_signal="by_place")
    shape = Recorder(share_of_ones)
    make_trainer(tmp_path, config, [shape, by_place()], max_steps=3, reward_weights=[2.0, 0.0]).train()
    data = make_data()
    for row in ledger_rows(tmp_path):
        rate = success_rate(data[row["index"]]["prompt"])
        assert np.mean(row["signals"]) == rate
        expected = {0.0: "all_low", 1.0: "all_high"}.get(rate, "kept")
        assert row["reason"] == expected or (expected == "kept" and row["reason"] == "surplus")
    rewards = [value for row in ledger_rows(tmp_path) for value in row["rewards"]]
    np.testing.assert_allclose(rewards, 2 * np.array(shape.values), rtol=1e-6)


def test_signal_is_the_weighted_total_by_default(tmp_path):
    one, other = Recorder(even_start), Recorder(share_of_ones)
    make_trainer(tmp_path, "uniform", [one, other], max_steps=2, reward_weights=[1.0, -0.5]).train()
    signals = [value for row in ledger_rows(tmp_path) for value in row["signals"]]
    np.testing.assert_allclose(signals, np.array(one.values) - 0.5 * np.array(other.values), atol=1e-6)


def test_missing_rewards_are_left_out(tmp_path):
    """None for the last of each group: it has no part in the mean, and 1, 1, 1, None is a flat group."""

    def last_is_unscorable(prompts, completions, **columns):
        values = by_place()(prompts, completions)
        return [None if place % NUM_GENERATIONS == 3 else value for place, value in enumerate(values)]

    make_trainer(tmp_path, "dapo", last_is_unscorable, max_steps=2).train()
    data = make_data()
    for row in ledger_rows(tmp_path):
        assert math.isnan(row["signals"][3])
        right = round(success_rate(data[row["index"]]["prompt"]) * NUM_GENERATIONS)
        assert sum(row["signals"][:3]) == min(right, 3)
        assert (row["reason"] == "all_high") == (right >= 3)
    rows = metrics(tmp_path)
    assert all(row["rollouts/unscorable"] == row["funnel/graded"] for row in rows)
    assert all(row["grade/error"] == 0 for row in rows)


@pytest.mark.parametrize("preset", ["dapo", "odf"])
def test_group_of_missing_rewards_is_unscorable(tmp_path, preset):
    def knows_even_prompts(prompts, completions, **columns):
        values = by_place()(prompts, completions)
        return [None if int(prompt[2]) % 2 else value for prompt, value in zip(prompts, values, strict=True)]

    make_trainer(tmp_path, preset, knows_even_prompts, max_steps=2).train()
    reasons = {index % 2: set() for index in range(2)}
    for row in ledger_rows(tmp_path):
        reasons[row["index"] % 2].add(row["reason"])
    assert reasons[1] == {"unscorable"}
    assert "kept" in reasons[0] and "unscorable" not in reasons[0]


def test_value_model_skips_what_nobody_scored(tmp_path):
    trainer = make_trainer(tmp_path, "pcl", lambda completions, **_: [None] * len(completions), max_steps=2)
    trainer.train()
    assert losses(trainer) == [0.0, 0.0]
    assert not trainer.curriculum.estimator.state_dict()["head"]["recent"]


def test_reward_that_raises_does_not_end_the_run(tmp_path, caplog):
    def fails_in_the_second_step(prompts, completions, trainer_state, **columns):
        if trainer_state.global_step == 1:
            raise RuntimeError("no luck")
        return by_place()(prompts, completions)

    with caplog.at_level(logging.WARNING, logger="rlkit"):
        make_trainer(tmp_path, "dapo", fails_in_the_second_step, max_steps=3).train()
    rows = metrics(tmp_path)
    assert [row["grade/error"] for row in rows] == [0, rows[1]["rollouts/spent"], 0]
    assert rows[1]["funnel/unscorable"] == rows[1]["funnel/graded"] and rows[1]["signal/all"] is None
    assert "fails_in_the_second_step" in caplog.text and "no luck" in caplog.text
