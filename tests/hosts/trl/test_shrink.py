"""Guards the fill policy "shrink": groups that only pad the batch train nothing, whatever the loss type."""

import pytest
import torch
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    by_place,
    ledger_rows,
    losses,
    make_data,
    make_model,
    make_plain_trainer,
    make_trainer,
    scripted,
    success_rate,
    weights,
)

from rlkit import CurriculumConfig

# Gradients are compared, not Adam's signs.
SGD = {"optim": "sgd", "max_grad_norm": 0.0, "learning_rate": 0.1, "weight_decay": 0.0}


def uneven(completions, **columns):
    """by_place with two sizes of success, so that the batch's std depends on the rows in it."""
    prompts = columns["prompts"]
    sizes = [1.0 + int(prompt[2]) % 2 for prompt in prompts]
    return [size * value for size, value in zip(sizes, by_place()(prompts, completions), strict=True)]


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "bnpo", "dr_grpo"])
def test_padding_does_not_train(tmp_path, loss_type):
    compare_with_the_kept_alone(tmp_path, loss_type=loss_type)


@pytest.mark.slow
@pytest.mark.parametrize("loss_type", ["cispo", "luspo", "sapo", "vespo"])
def test_padding_does_not_train_other_losses(tmp_path, loss_type):
    compare_with_the_kept_alone(tmp_path, loss_type=loss_type)


@pytest.mark.parametrize("loss_type", ["dapo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_padding_is_not_in_the_batch_std(tmp_path, loss_type):
    compare_with_the_kept_alone(tmp_path, loss_type=loss_type, scale_rewards="batch")


def test_padding_does_not_train_with_normalized_sums(tmp_path):
    compare_with_the_kept_alone(tmp_path, multi_objective_aggregation="normalize_then_sum")


@pytest.mark.parametrize(
    "loss_type", ["grpo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dapo", "dr_grpo"))]
)
def test_padding_does_not_thin_the_kl_term(tmp_path, loss_type):
    """The second update is away from the reference, so that the KL term has a gradient."""
    make_model().save_pretrained(tmp_path / "model")
    compare_with_the_kept_alone(
        tmp_path, loss_type=loss_type, beta=0.5, num_iterations=3, max_steps=3, model=tmp_path / "model"
    )


def compare_with_the_kept_alone(tmp_path, model=None, **settings):
    """One generation of four groups of which some pad, and TRL's own training on the others."""
    settings = {**SGD, "max_steps": 2, "num_iterations": 2, **settings}
    # Scripted completions do not depend on what else is in the batch.
    same = {"model": str(model) if model else None, "extra": {"rollout_func": scripted()}}
    data = make_data()
    config = CurriculumConfig(curriculum="dapo", max_rounds=1, fill="shrink")
    shrunk = make_trainer(tmp_path / "shrunk", config, uneven, data=data, **settings, **same)
    shrunk.train()
    rows = ledger_rows(tmp_path / "shrunk")
    kept = [row["index"] for row in rows if row["trained"]]
    assert 0 < len(kept) < GROUPS and len(rows) == GROUPS, "the test needs a batch that shrinks"
    assert all(0 < success_rate(data[index]["prompt"]) < 1 for index in kept)

    settings["per_device_train_batch_size"] = len(kept) * NUM_GENERATIONS
    alone = make_plain_trainer(
        tmp_path / "alone", uneven, data.select(kept), shuffle_dataset=False, **settings, **same
    )
    alone.train()
    start = make_model().state_dict()
    moved = max(float((tensor - start[name]).abs().max()) for name, tensor in weights(alone).items())
    assert moved > 1e-3, "the test needs a gradient"
    assert losses(shrunk) == pytest.approx(losses(alone), abs=1e-6)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(shrunk)[name], tensor, atol=1e-6, rtol=1e-5)
