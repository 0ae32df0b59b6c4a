"""Guards the seam of the objectives: what they see, what reaches the gradient, what is saved.

That a trainer without them is TRL's to the last bit is in test_parity.py.
"""

from copy import deepcopy

import pytest
import torch
from test_resume import CYCLES, STEPS, StopAt, assert_same_run
from tiny_trl import by_place, ledger_rows, make_model, make_trainer
from trl import GRPOTrainer

from rlkit import CurriculumGRPOTrainer
from rlkit.objectives import Objective, ObjectivesConfig
from rlkit.objectives.clip_b import ClipB
from rlkit.objectives.clip_v import ClipV

LOSS_TYPES = ("grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo")


class Halving(Objective):
    """Every second token trains at a factor."""

    name = "halving"

    def __init__(self, factor=0.0):
        self.factor, self.groups = factor, []

    def collected(self, collected):
        rows = collected.rows_of(torch.arange(len(collected.groups)).numpy())
        self.groups.append((collected.groups.index_P.tolist(), [row["prompt"] for row in rows]))

    def token_weight(self, tokens):
        weight_RT = torch.ones_like(tokens.scored.logprob_RT)
        weight_RT[:, 1::2] = self.factor
        return weight_RT


class Pulling(Objective):
    """A term of the loss that grows with the groups seen, which are its state."""

    name = "pulling"

    def __init__(self):
        self.seen, self.parts = 0, []

    def collected(self, collected):
        self.seen += len(collected.groups)

    def loss(self, update):
        self.parts.append((update.part, update.iteration))
        weight = next(update.model.parameters())
        return self.seen / 100 * weight.square().mean()

    def metrics(self):
        return {"seen": float(self.seen)}

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class Tracing(CurriculumGRPOTrainer):
    """Keeps each micro-batch's inputs and gradient, and TRL's own gradient of the same."""

    def __init__(self, *args, **kwargs):
        self.traced = []
        super().__init__(*args, **kwargs)

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        plain = GRPOTrainer._compute_loss(self, model, inputs)
        self.traced.append((inputs, gradient(model, loss), gradient(model, plain), loss.item(), plain.item()))
        return loss


def gradient(model, loss):
    parts = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def trace(folder, objectives, model=None, **settings):
    extra = {"objectives": objectives}
    settings = {"max_steps": 1, **settings}
    trainer = make_trainer(folder, "uniform", by_place(), model=model, kind=Tracing, extra=extra, **settings)
    trainer.train()
    return trainer


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_a_dropped_token_has_no_gradient_and_stays_in_every_value(tmp_path, loss_type):
    """By hand for each loss type: the gradient is linear in the log-probabilities, taken one at a time."""
    high = {"epsilon_high": 5.0} if loss_type == "cispo" else {}  # its cap on the ratio, which is 1 here
    trainer = trace(tmp_path, [Halving()], loss_type=loss_type, **high)
    inputs, weighted, plain, loss, plain_loss = trainer.traced[0]
    assert loss == plain_loss
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    fresh = make_model()
    mask = inputs["completion_mask"]
    logprobs = fresh(ids).logits.log_softmax(-1)[:, -mask.shape[1] - 1 : -1]
    logprobs = logprobs.gather(2, inputs["completion_ids"][..., None])[..., 0]
    rows, lengths, advantages = len(mask), mask.sum(1, keepdim=True), inputs["advantages"][:, None]
    divisor = {
        "grpo": rows * lengths,
        "sapo": rows * lengths,
        "luspo": rows,
        "dr_grpo": rows * trainer.max_completion_length,
    }.get(loss_type, mask.sum())
    scale = -advantages * mask / divisor
    torch.testing.assert_close(gradient(fresh, (scale * logprobs).sum()), plain, atol=1e-5, rtol=1e-4)
    every_other = (scale * logprobs)[:, ::2].sum()
    torch.testing.assert_close(gradient(fresh, every_other), weighted, atol=1e-5, rtol=1e-4)


def test_factors_are_of_the_gradient(tmp_path):
    half = trace(tmp_path / "half", [Halving(0.5)]).traced[0]
    none = trace(tmp_path / "none", [Halving(0.0)]).traced[0]
    torch.testing.assert_close(half[1], (half[2] + none[1]) / 2, atol=1e-6, rtol=1e-5)


def test_objectives_see_every_group_and_its_rows(tmp_path):
    objective = Halving()
    make_trainer(tmp_path, "dapo", by_place(), extra={"objectives": [objective]}).train()
    rows = ledger_rows(tmp_path)
    assert [index for indices, _ in objective.groups for index in indices] == [row["index"] for row in rows]
    assert all(prompts == [f"{i:03d}=" for i in indices] for indices, prompts in objective.groups)


def test_parts_and_iterations(tmp_path):
    objective = Pulling()
    settings = {**CYCLES["accumulation"], "max_steps": 4}
    trainer = make_trainer(tmp_path, "uniform", by_place(), extra={"objectives": [objective]}, **settings)
    trainer.train()
    assert objective.parts == [(part, turn) for turn in range(2) for part in range(4)]


@pytest.mark.parametrize(
    ("cycle", "mask"), [("two-steps-a-generation", ClipB(0.5)), ("accumulation", ClipV(0.5, 0.06))]
)
def test_resume_in_mid_cycle(tmp_path, cycle, mask):
    """The factors of tokens are in the batch, and what the objectives hold is in the checkpoint."""

    def trainer(folder, callbacks=(), **more):
        extra = {"objectives": [Halving(), Pulling(), deepcopy(mask)], "callbacks": list(callbacks)}
        settings = {**CYCLES[cycle], "max_steps": STEPS, **more}
        return make_trainer(tmp_path / folder, "dapo", by_place(), extra=extra, **settings)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)


def odd_head(head):
    """The tiny model with a head that caps its logits, or has a bias."""
    model = make_model()
    if head == "capped":
        model.config.final_logit_softcapping = 2.0
    if head == "biased":
        model.lm_head.bias = torch.nn.Parameter(torch.linspace(-1, 1, 13))
    return model


@pytest.mark.parametrize(
    ("name", "head"), [("clip_b", "plain"), ("clip_v", "plain"), ("clip_v", "capped"), ("clip_v", "biased")]
)
def test_masks_are_those_of_the_full_distribution(tmp_path, name, head):
    """Against all logits of the same policy; and some tokens are dropped, others not."""
    config = ObjectivesConfig(name, clip_b_mu=0.5, clip_v_mu=0.5, clip_v_share=0.06)
    trainer = trace(tmp_path, config, odd_head(head))
    inputs = trainer.traced[0][0]
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = inputs["completion_mask"].bool()
    logits = odd_head(head)(ids).logits
    logits = 2 * (logits / 2).tanh() if head == "capped" else logits
    logp = logits.log_softmax(-1)[:, -mask.shape[1] - 1 : -1].double()
    entropy = -(logp.exp() * logp).sum(-1)
    all_S = logp.exp() * (entropy[..., None] + logp)
    value = all_S.gather(2, inputs["completion_ids"][..., None])[..., 0]
    negative = (inputs["advantages"] < 0)[:, None] & mask
    if name == "clip_b":
        dropped = negative & (value - value[mask].mean() < -0.5 * value[mask].std(correction=0))
    else:
        above = (logp.exp() * all_S).sum(-1) - value
        violating = negative & (above > 0.5 * above[mask].std(correction=0))
        most = min(int(0.06 * mask.sum()), int(violating.sum()))
        dropped = violating & (above >= above[violating].topk(most).values[-1])
        assert most < violating.sum(), "the test needs the share to have a say"
    assert torch.equal(inputs["token_weight"] == 0, dropped)
    assert 0 < dropped.sum() < negative.sum()


@pytest.mark.parametrize("name", ["clip_b", "clip_v"])
def test_masks_do_not_depend_on_accumulation(tmp_path, name):
    """The statistics are of the generation, so the sum over its micro-batches is one big batch's gradient."""
    config = ObjectivesConfig(name, clip_b_mu=0.5, clip_v_mu=0.5, clip_v_share=0.06)
    whole = trace(tmp_path / "whole", config, loss_type="dapo")
    cut = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    parts = trace(tmp_path / "parts", config, loss_type="dapo", **cut)
    assert len(parts.traced) == 4
    total = sum(weighted for _, weighted, *_ in parts.traced)
    torch.testing.assert_close(total, whole.traced[0][1], atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_other_objectives_is_refused(tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 1, "max_steps": 1}
    make_trainer(tmp_path, "uniform", extra={"objectives": [Pulling()]}, **saving).train()
    with pytest.raises(ValueError, match="checkpoint's objectives are pulling, and this run's none"):
        make_trainer(tmp_path, "uniform", max_steps=2).train(resume_from_checkpoint=True)
