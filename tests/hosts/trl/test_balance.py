"""Guards that balancing lengths saves padding and nothing else: same rows a step, same losses, exact resume.

Two processes, FSDP2 and ZeRO are the job "balance" of test_processes.py and test_sharded.py.
"""

import pytest
import torch
from test_resume import STEPS, StopAt, assert_same_run
from tiny_trl import Watching, by_place, losses, make_trainer, weights

from rlkit.objectives import ObjectivesConfig

CYCLE = {
    "per_device_train_batch_size": 4,
    "steps_per_generation": 4,
    "gradient_accumulation_steps": 2,
    "num_iterations": 2,
    "max_completion_length": 24,
}
LOSS_TYPES = ("grpo", "dapo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")


def varied(prompts, trainer):
    """Completions of 1 to 24 tokens, by prompt and place."""
    lengths = [1 + (7 * row + 5 * int(prompt[:3])) % 24 for row, prompt in enumerate(prompts)]
    ids = [[1 + (row + place) % 12 for place in range(length)] for row, length in enumerate(lengths)]
    prompt_ids = trainer.processing_class(text=prompts)["input_ids"]
    return {"prompt_ids": prompt_ids, "completion_ids": ids, "logprobs": None}


def trained(folder, balanced, callbacks=(), **settings):
    config = ObjectivesConfig("clip_b", clip_b_mu=0.5, balance_lengths=balanced)
    extra = {"objectives": config, "rollout_func": varied, "callbacks": list(callbacks)}
    settings = {**CYCLE, "max_steps": 4, "learning_rate": 1e-3, **settings}
    return make_trainer(folder, "uniform", by_place(), kind=Watching, extra=extra, **settings)


def pair(tmp_path, **settings):
    runs = []
    for balanced in (True, False):  # in turn: a trainer is seeded when it is made
        runs.append(trained(tmp_path / str(balanced), balanced, **settings))
        runs[-1].train()
    return runs


def rows_of(parts):
    """Each row's tokens that count, with what rides along with it."""
    rows = []
    for part in parts:
        for row in range(len(part["completion_mask"])):
            mask = part["completion_mask"][row].bool()
            ids, factors = part["completion_ids"][row][mask], part["token_weight"][row][mask]
            prompt = part["prompt_ids"][row][part["prompt_mask"][row].bool()]
            logprobs = part["old_per_token_logps"][row][mask]
            rows.append([*prompt.tolist(), *ids.tolist(), *factors.tolist(), *logprobs.tolist()])
    return sorted(rows)


def columns(run):
    return sum(part["completion_ids"].shape[1] for part in run.batches)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_same_losses_and_less_padding(tmp_path, loss_type):
    balanced, plain = pair(tmp_path, loss_type=loss_type)
    assert losses(balanced) == pytest.approx(losses(plain), abs=1e-6)
    assert columns(balanced) < 0.85 * columns(plain)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(balanced)[name], tensor, atol=2e-5, rtol=1e-4)


def test_a_step_keeps_its_rows(tmp_path):
    """With the factors and the old log-probabilities of their tokens, in both iterations."""
    balanced, plain = pair(tmp_path, max_steps=1)
    assert rows_of(balanced.batches) == rows_of(plain.batches)
    assert len(balanced.batches) == 2 and rows_of(balanced.batches[:1]) != rows_of(plain.batches[:1])


@pytest.mark.parametrize(
    "setting", [{"loss_type": "bnpo"}, {"entropy_coef": 0.1}, {"top_entropy_quantile": 0.5}]
)
def test_rows_stay_where_micro_batches_have_a_say(tmp_path, setting):
    balanced, plain = pair(tmp_path, max_steps=2, **setting)
    for ours, theirs in zip(balanced.batches, plain.batches, strict=True):
        assert rows_of([ours]) == rows_of([theirs])
    assert columns(balanced) < columns(plain), "padding goes in any case"
    assert losses(balanced) == pytest.approx(losses(plain), abs=1e-6)


def test_widths_stay_multiples(tmp_path):
    run = trained(tmp_path, True, pad_to_multiple_of=8)
    run.train()
    widths = {part[name].shape[1] for part in run.batches for name in ("prompt_ids", "completion_ids")}
    assert widths <= {8, 16, 24} and len(widths) > 1


def test_resume_in_mid_cycle(tmp_path):
    def trainer(folder, callbacks=(), **more):
        return trained(tmp_path / folder, True, callbacks, max_steps=STEPS, **more)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
