"""Guards where old logprobs come from: the loss's own forward where TRL computes none, else from TRL."""

import math

import pytest
import torch
from test_resume import assert_resumes_exactly
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    Watching,
    ledger_rows,
    losses,
    make_trainer,
    metrics,
    weights,
)
from trl import GRPOTrainer

from rlkit import CurriculumConfig
from rlkit.objectives import ObjectivesConfig

OLD = "old_per_token_logps"
ROWS = GROUPS * NUM_GENERATIONS
ALIGNED = {
    "one-part": {},
    "two-parts": {"per_device_train_batch_size": ROWS // 2, "gradient_accumulation_steps": 2},
    "two-generations": {"gradient_accumulation_steps": 2, "steps_per_generation": 1},
    "two-iterations": {"gradient_accumulation_steps": 2, "steps_per_generation": 1, "num_iterations": 2},
}
"""Ways to keep the policy from a generation to its last loss."""


class Scoring(Watching):
    """Remembers each loss's logprobs, old ones too, and counts the forwards that score tokens."""

    def __init__(self, *args, **kwargs):
        self.num_forwards, self.scored = 0, []
        super().__init__(*args, **kwargs)
        self.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module, args, kwargs):
        self.num_forwards += "labels" in kwargs

    def _get_per_token_logps_and_entropies(self, *args, **kwargs):
        found = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if found[0].requires_grad:
            self.scored.append(found[0].detach().clone())
        return found

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        self.batches[-1]["used"] = inputs[OLD].clone()
        return loss


class Separate(Watching):
    """Gives new rows old logprobs by a forward of their own."""

    def _compute_loss(self, model, inputs):
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        with torch.no_grad():
            scored = GRPOTrainer._get_per_token_logps_and_entropies(
                self, model, ids, mask, inputs["completion_ids"].shape[1], batch_size=3
            )[0]
        inputs[OLD] = torch.where(inputs[OLD].isnan(), scored, inputs[OLD])
        return super()._compute_loss(model, inputs)


class OwnLoss(Watching):
    """A loss of a subclass: TRL's for tokens, without clipping."""

    def _compute_loss(self, model, inputs):
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        logprobs = self._logprobs(model, ids, mask, inputs["completion_ids"].shape[1])
        ratio = (logprobs - inputs[OLD]).exp()
        return -(ratio * inputs["advantages"][:, None] * inputs["completion_mask"]).mean()

    def _logprobs(self, *args):
        return self._get_per_token_logps_and_entropies(*args)[0]


class OwnForward(OwnLoss):
    def _logprobs(self, model, ids, mask, width):
        logits = model(input_ids=ids, attention_mask=mask).logits[:, -width - 1 : -1]
        return logits.log_softmax(-1).gather(2, ids[:, -width:, None])[..., 0]


def trained(folder, curriculum="ssb", kind=Scoring, **settings):
    trainer = make_trainer(folder, curriculum, kind=kind, **{"max_steps": 6, "seed": 12, **settings})
    trainer.train()
    return trainer


def rows_of(trainer):
    """(tokens, whether the row is new, its logprobs in the loss, old ones) of every loss's rows, in turn."""
    for part, scored in zip(trainer.batches, trainer.scored, strict=True):
        for row, mask in enumerate(part["completion_mask"].bool()):
            prompt = part["prompt_ids"][row][part["prompt_mask"][row].bool()].tolist()
            tokens = (*prompt, *part["completion_ids"][row][mask].tolist())
            is_new = bool(part[OLD][row].isnan().all())
            yield tokens, is_new, scored[row][mask], part["used"][row][mask]


def stale_steps(folder):
    return [line.get("rollouts/stale", 0) > 0 for line in metrics(folder)]


@pytest.mark.parametrize("cycle", ALIGNED)
def test_each_loss_is_the_only_forward_of_its_rows(tmp_path, cycle):
    trainer = trained(tmp_path, **ALIGNED[cycle])
    assert len(set(stale_steps(tmp_path))) == 2, "the test needs steps with and without replay"
    assert trainer.num_forwards == len(trainer.batches) == len(trainer.scored)
    assert len(trainer.batches) == 6 * trainer.args.gradient_accumulation_steps


@pytest.mark.parametrize("cycle", ALIGNED)
def test_ratios(tmp_path, cycle):
    """Exactly 1 for new rows; for replayed ones that to the logprobs of the loss which they were new in."""
    trainer = trained(tmp_path, **ALIGNED[cycle])
    when_new, num_moved = {}, 0
    for tokens, is_new, now, old in rows_of(trainer):
        if is_new:
            when_new[tokens] = now
            assert torch.equal(old, now)
        else:
            assert torch.equal(old, when_new[tokens])
            num_moved += not torch.allclose(now, old, atol=1e-2)
    assert num_moved >= NUM_GENERATIONS


def test_the_policy_moves_between_iterations(tmp_path):
    """TRL scores new rows before the first update on them, and what is kept takes its logprobs from there."""
    trainer = trained(tmp_path, num_iterations=2, max_steps=8)
    rows, first = list(rows_of(trainer)), {}
    for start in range(0, len(rows), 2 * ROWS):
        for tokens, is_missing, now, old in rows[start : start + ROWS]:
            assert not is_missing
            if tokens not in first:
                first[tokens] = old
                torch.testing.assert_close(now, old, atol=1e-6, rtol=0)
            assert torch.equal(old, first[tokens])
        for tokens, _, now, old in rows[start + ROWS : start + 2 * ROWS]:
            assert torch.equal(old, first[tokens])
            assert not torch.allclose(now, old, atol=1e-6)
    assert any(stale_steps(tmp_path))
    assert trainer.num_forwards == 8 + 4, "a loss a step, and one forward a generation"


VARIANTS = {
    **{loss: {"loss_type": loss} for loss in ("grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo")},
    "sequence": {"importance_sampling_level": "sequence"},
    "delta": {"delta": 1.5},
    "off-policy-mask": {"off_policy_mask_threshold": 0.01},
    "two-parts": ALIGNED["two-parts"],
    "objective": {"extra": {"objectives": ObjectivesConfig("clip_b", clip_b_mu=0.5)}, "seed": 5},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_is_as_with_a_forward_of_their_own(tmp_path, variant):
    ours = trained(tmp_path / "ours", **VARIANTS[variant])
    theirs = trained(tmp_path / "theirs", kind=Separate, **VARIANTS[variant])
    assert any(stale_steps(tmp_path / "ours"))
    assert ledger_rows(tmp_path / "ours") == ledger_rows(tmp_path / "theirs")
    assert losses(ours) == pytest.approx(losses(theirs), abs=1e-6)
    for name, tensor in weights(theirs).items():
        torch.testing.assert_close(weights(ours)[name], tensor, atol=2e-5, rtol=1e-4)


def test_only_what_is_kept_untrained_has_a_forward_of_its_own(tmp_path):
    """Screened completions that wait for the rest of their group."""
    curriculum = CurriculumConfig(curriculum="speed", screen=2, max_rounds=2)
    trainer = trained(tmp_path, curriculum)
    num_waiting = len({row["step"] for row in ledger_rows(tmp_path) if row["reason"] == "waiting"})
    assert 0 < num_waiting < 6 and any(stale_steps(tmp_path))
    assert trainer.num_forwards == 6 + num_waiting


@pytest.mark.parametrize("cycle", ["two-parts", "two-generations"])
def test_resume(tmp_path, cycle):
    curriculum = CurriculumConfig(curriculum="ssb", curriculum_signal="even_start")
    assert_resumes_exactly(tmp_path, curriculum, seed=12, **ALIGNED[cycle])
    assert any(stale_steps(tmp_path / "straight")[3:])


def test_a_loss_of_ones_own_gets_them_too(tmp_path):
    trainer = trained(tmp_path / "scored", kind=OwnLoss)
    assert any(stale_steps(tmp_path / "scored"))
    assert all(map(math.isfinite, losses(trainer))) and any(losses(trainer))
    with pytest.raises(RuntimeError, match="OwnForward has a loss without _get_per_token_logps"):
        trained(tmp_path / "not", kind=OwnForward)
