"""Guards that `curriculum="uniform"` is TRL's own training: with the same prompt order, the same weights."""

import pytest
import torch
from tiny_trl import (
    by_place,
    choices,
    even_start,
    losses,
    make_data,
    make_plain_trainer,
    make_trainer,
    share_of_ones,
    weights,
)

from rlkit.objectives import ObjectivesConfig

STEPS = 10
OURS_ALONE = ("curriculum/", "step_time", "train_")
"""What TRL does not log, and times."""


SLOW = pytest.mark.slow
SETTINGS = {
    "default": {},
    "cycles": {
        "per_device_train_batch_size": 4,
        "steps_per_generation": 4,
        "gradient_accumulation_steps": 2,
        "num_iterations": 2,
        "loss_type": "grpo",
    },
    "two-steps-a-generation": {"per_device_train_batch_size": 8, "steps_per_generation": 2},
    "accumulation": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
    "two-iterations": {"num_iterations": 2},
    "batch-scaling": {"scale_rewards": "batch", "loss_type": "dr_grpo"},
    "normalized-sums": {"multi_objective_aggregation": "normalize_then_sum", "loss_type": "bnpo"},
}


@pytest.mark.parametrize(
    "name", ["default", "cycles", *(pytest.param(name, marks=SLOW) for name in list(SETTINGS)[2:])]
)
def test_uniform_equals_trl(tmp_path, name):
    rewards = [even_start, share_of_ones]
    settings = {**SETTINGS[name], "max_steps": STEPS, "reward_weights": [1.0, 0.5]}
    data = make_data(60)
    as_dealt = {"objectives": ObjectivesConfig(balance_lengths=False)}  # else equal up to rounding
    ours = make_trainer(tmp_path / "ours", "uniform", rewards, data=data, extra=as_dealt, **settings)
    ours.train()

    order = [index for generation in choices(tmp_path / "ours") for index in generation]
    assert len(set(order)) == len(order), "the comparison needs a run within one pass over the pool"
    rest = [index for index in range(len(data)) if index not in order]
    reordered = data.select(order + rest)
    plain = make_plain_trainer(tmp_path / "plain", rewards, reordered, shuffle_dataset=False, **settings)
    plain.train()

    assert len(losses(plain)) == STEPS and any(abs(loss) > 1e-3 for loss in losses(plain))
    assert losses(ours) == pytest.approx(losses(plain), abs=1e-6)
    logs = [
        [
            {name: value for name, value in line.items() if not name.startswith(OURS_ALONE)}
            for line in trainer.state.log_history
        ]
        for trainer in (ours, plain)
    ]
    assert logs[0] == logs[1]
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(ours)[name], tensor), name


def test_parity_with_unscorable_completions(tmp_path):
    """None rewards take the same road through TRL."""

    def sometimes(prompts, completions, **columns):
        values = by_place()(prompts, completions)
        return [None if place % 3 == 0 else value for place, value in enumerate(values)]

    ours = make_trainer(tmp_path / "ours", "uniform", [sometimes], max_steps=3)
    ours.train()
    order = [index for generation in choices(tmp_path / "ours") for index in generation]
    data = make_data().select(order)
    plain = make_plain_trainer(tmp_path / "plain", [sometimes], data, shuffle_dataset=False, max_steps=3)
    plain.train()
    assert losses(ours) == pytest.approx(losses(plain), abs=1e-6)
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(ours)[name], tensor), name
