"""Guards that a trainer ends when its budget is spent, and goes on from there with a larger one."""

import json

import pytest
import torch
from tiny_trl import GROUPS, NUM_GENERATIONS, choices, make_data, make_trainer, weights

from rlkit import CurriculumConfig
from rlkit.record.checkpoint import last_checkpoint

A_STEP = GROUPS * NUM_GENERATIONS


def with_budget(folder, budget, **settings):
    config = CurriculumConfig(curriculum="uniform", budget=budget)
    return make_trainer(folder, config, max_steps=50, **settings)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("budget", ["steps=3", f"rollouts={3 * A_STEP}", f"rollouts={2 * A_STEP + 1}"])
def test_ends_after_the_step_that_spends_it_and_saves(tmp_path, budget):
    trainer = with_budget(tmp_path, budget)
    trainer.train()
    assert trainer.state.global_step == 3
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]
    assert last_checkpoint(tmp_path).endswith("checkpoint-3")


@pytest.mark.parametrize(
    ("axis", "column"), [("tokens", "tokens/generated_total"), ("seconds", "seconds/total")]
)
def test_tokens_and_seconds_end_a_run_too(tmp_path, axis, column):
    with_budget(tmp_path, f"{axis}=0.001").train()
    assert [row["step"] for row in rows(tmp_path)] == [1]
    assert rows(tmp_path)[0][column] > 0.001


def test_evaluates_at_the_stop_where_the_run_evaluates(tmp_path):
    evaluation = {"eval_strategy": "steps", "eval_steps": 10, "per_device_eval_batch_size": NUM_GENERATIONS}
    trainer = with_budget(tmp_path, "steps=2", extra={"eval_dataset": make_data(4)}, **evaluation)
    trainer.train()
    history = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    assert [row["step"] for row in history if "eval_rewards/even_start/mean" in row] == [2]


def test_a_larger_budget_goes_on_as_if_never_stopped(tmp_path):
    reference = with_budget(tmp_path / "whole", "steps=5")
    reference.train()
    with_budget(tmp_path / "parts", "steps=3").train()
    resumed = with_budget(tmp_path / "parts", f"rollouts={5 * A_STEP}")
    resumed.train(resume_from_checkpoint=True)
    assert choices(tmp_path / "parts") == choices(tmp_path / "whole")
    assert [row["seconds/total"] for row in rows(tmp_path / "parts")] == sorted(
        row["seconds/total"] for row in rows(tmp_path / "parts")
    )
    for name, tensor in weights(reference).items():
        assert tensor.equal(weights(resumed)[name]), name


@pytest.mark.parametrize("ending", [{}, {"budget": "steps=3"}])
def test_resuming_a_finished_run_adds_no_step(tmp_path, ending):
    """transformers' own loop takes one step more."""
    config = CurriculumConfig(curriculum="uniform", **ending)
    settings = {"max_steps": 50 if ending else 3, "save_strategy": "steps", "save_steps": 1}
    reference = make_trainer(tmp_path, config, **settings)
    reference.train()
    again = make_trainer(tmp_path, config, **settings)
    assert again.train(resume_from_checkpoint="auto").global_step == 3
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]
    for name, tensor in weights(reference).items():
        assert torch.equal(weights(again)[name], tensor), name
