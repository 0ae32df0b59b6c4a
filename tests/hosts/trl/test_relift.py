"""Guards ReLIFT in the trainer: its steps are AdamW's on the demonstrations' tokens, beside RL's moments."""

import numpy as np
import pytest
import torch
from peft import LoraConfig
from test_resume import CYCLES, STEPS, StopAt, assert_same_run
from tiny_trl import (
    Watching,
    even_start,
    losses,
    make_data,
    make_messages,
    make_model,
    make_tokenizer,
    make_trainer,
    text_of,
    weights,
)

from rlkit.objectives import ObjectivesConfig
from rlkit.record.checkpoint import load_state

TURNS = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}={% else %}{{ m.content }}<eos>"
    "{% endif %}{% endfor %}"
)


def never(completions, **columns):
    """Only the demonstrations, which the random model does not happen to write, are right."""
    return [float(text_of(completion) == "9+") for completion in completions]


def now_and_then(completions, **columns):
    earned = even_start(completions)
    return [max(pair) for pair in zip(never(completions), earned, strict=True)]


def demonstrated():
    data = make_data()
    return data.add_column("demonstration", ["9+"] * len(data))


def relift(folder, rewards=never, pairs=4, data=None, extra=None, **settings):
    extra = {"objectives": ObjectivesConfig("relift", relift_pairs=pairs), **(extra or {})}
    data = demonstrated() if data is None else data
    return make_trainer(folder, "uniform", rewards, data=data, extra=extra, **settings)


def by_hand(model, optimizer, prompts):
    """One AdamW step on the mean over the prompts of the mean over "9+" and the end token."""
    tokenizer = make_tokenizer()
    ids = torch.tensor(tokenizer([f"{prompt}9+<eos>" for prompt in prompts])["input_ids"])
    logp = model(ids).logits.log_softmax(-1)[:, 3:-1]
    entropy = -(logp.exp() * logp).sum(-1)
    nll = -logp.gather(2, ids[:, 4:, None])[..., 0]
    (nll - 1e-4 * entropy).mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("rows", [16, 4])
def test_steps_by_hand(tmp_path, rows):
    """Nothing is solved, so RL's gradient is zero, and all movement is the supervised steps'."""
    cut = {"per_device_train_batch_size": rows, "gradient_accumulation_steps": 16 // rows}
    seen = []
    trainer = relift(tmp_path, max_steps=2, learning_rate=1e-3, **cut)
    (objective,) = trainer.objectives.all
    encode = objective.learner.encode
    objective.learner.encode = lambda rows, texts: (
        seen.append([row["prompt"] for row in rows]),
        encode(rows, texts),
    )[1]
    trainer.train()
    model = make_model()
    args = trainer.args
    rates = [line["learning_rate"] for line in trainer.state.log_history if "learning_rate" in line]
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(args.adam_beta1, args.adam_beta2), eps=args.adam_epsilon, weight_decay=0.0
    )
    assert [len(prompts) for prompts in seen] == [4, 4]
    # The scheduler has moved on when a step of RL is over.
    after = [*rates[1:], trainer.lr_scheduler.get_last_lr()[0]]
    for prompts, rate in zip(seen, after, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        by_hand(model, optimizer, prompts)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], tensor, atol=1e-6, rtol=1e-4)
    moved = (trainer.model.lm_head.weight - make_model().lm_head.weight).abs().max()
    assert moved > 1e-4, "the test needs a step"
    theirs = trainer.optimizer.optimizer.state
    assert all(not moments["exp_avg"].any() for moments in theirs.values()), "RL's moments saw none of it"


@pytest.mark.parametrize("cycle", ["two-steps-a-generation", "accumulation"])
def test_resume_in_mid_buffer_and_mid_cycle(tmp_path, cycle):
    """The checkpoint holds pairs that wait, and the moments of the steps so far."""

    def trainer(folder, callbacks=(), **more):
        settings = {**CYCLES[cycle], "max_steps": STEPS, **more}
        extra = {"callbacks": list(callbacks)}
        return relift(tmp_path / folder, now_and_then, 1, extra=extra, **settings)

    def slow(made):  # the objective's M, which a step's few unsolved groups pass only now and then
        made.objectives.all[0].pairs = 2
        return made

    straight = slow(trainer("straight"))
    straight.train()
    slow(trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3)).train()
    checkpoint = tmp_path / "stopped" / "checkpoint-3"
    resumed = slow(trainer("stopped"))
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
    assert straight.objectives.all[0].metrics()["steps_total"] > 0


def test_the_checkpoint_holds_buffer_and_moments(tmp_path):
    trainer = relift(tmp_path, pairs=6, max_steps=2, save_strategy="steps", save_steps=2)
    trainer.train()
    saved = load_state(tmp_path / "checkpoint-2", "curriculum")["objectives"]["relift"]
    assert len(saved["buffer"]) == 2, "two steps brought eight pairs, and six were used"
    moments = load_state(tmp_path / "checkpoint-2", "moments-0")["relift"]
    assert all(state["exp_avg"].any() for state in moments)
    whole = relift(tmp_path / "straight", pairs=6, max_steps=4)
    whole.train()
    resumed = relift(tmp_path, pairs=6, max_steps=4)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.objectives.all[0].metrics()["steps_total"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in weights(resumed).values())


def test_messages_go_through_the_chat_template_and_only_the_completion_trains(tmp_path):
    data = make_messages()
    turn = [{"role": "assistant", "content": "9+"}]
    data = data.add_column("demonstration", [turn] * len(data))
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TURNS
    trainer = relift(tmp_path, data=data, extra={"processing_class": tokenizer}, max_steps=1)
    rows = trainer.pool.take(torch.arange(2).numpy())
    (objective,) = trainer.objectives.all
    for row, example in zip(rows, objective.learner.encode(rows, [turn, turn]), strict=True):
        assert tokenizer.decode(example.prompt_ids) == f"{row['prompt'][0]['content']}="
        assert tokenizer.decode(example.completion_ids) == "9+<eos>"
    trainer.train()
    assert objective.metrics()["steps_total"] == 1


def test_a_long_demonstration_is_cut_as_a_rollout_is(tmp_path):
    trainer = relift(tmp_path)
    rows = trainer.pool.take(torch.arange(1).numpy())
    (example,) = trainer.objectives.all[0].learner.encode(rows, ["9+9+9+"])
    assert trainer.processing_class.decode(example.completion_ids) == "9+9"


def ends_in_plus(completions, **columns):
    return [float(text.endswith("+")) for text in completions]


@pytest.mark.parametrize("num_long", [3, 40])
def test_longer_than_the_context(tmp_path, caplog, num_long):
    """Of 64 tokens: the prompt has four, the end is one. Counted, listed, and more than half is refused."""
    texts = ["9" * 59 + "+"] * num_long + ["9" * 58 + "+"] * (64 - num_long)
    data = make_data().add_column("demonstration", texts)
    if num_long > 32:
        with pytest.raises(ValueError, match=r"40 of 64 demonstrations .* that is more than half"):
            relift(tmp_path, ends_in_plus, data=data)
        return
    trainer = relift(tmp_path, ends_in_plus, data=data)
    (said,) = [text for text in caplog.messages if "longer than the context" in text]
    rows = trainer.pool.take(np.arange(64))
    keys = trainer.pool.key_N.astype(str).tolist()
    long = {key for key, row in zip(keys, rows, strict=True) if len(row["demonstration"]) == 60}
    assert "3 of 64 demonstrations" in said and all(key in said for key in long)
    assert trainer.objectives.all[0]._accepted == set(keys) - long


CUT = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "steps_per_generation": 4}


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"])
def test_with_a_mask_a_lora_and_every_loss_type(tmp_path, loss_type):
    """Two iterations over accumulated micro-batches, a mask of the generation, and a supervised step."""
    config = ObjectivesConfig("relift,clip_b", relift_pairs=1, clip_b_mu=0.5)
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], r=4)
    trainer = relift(
        tmp_path,
        now_and_then,
        kind=Watching,
        extra={"objectives": config, "peft_config": lora},
        loss_type=loss_type,
        num_iterations=2,
        max_steps=4,
        **CUT,
    )
    before = weights(trainer)
    trainer.train()
    moved = {name for name, tensor in weights(trainer).items() if not torch.equal(tensor, before[name])}
    assert moved and all("lora" in name for name in moved)
    assert all(np.isfinite(losses(trainer))) and len(losses(trainer)) == 4
    relifted, masked = trainer.objectives.all
    assert relifted.metrics()["steps_total"] == 1 and relifted.metrics()["loss"] > 0
    parts = trainer.batches
    assert len(parts) == 8 and masked.metrics()["masked"] > 0
    assert all(
        torch.equal(one["token_weight"], two["token_weight"])
        for one, two in zip(parts[:4], parts[4:], strict=True)
    )
    dropped = sum(float((part["token_weight"] == 0).sum()) for part in parts[:4])
    tokens = sum(float(part["completion_mask"].sum()) for part in parts[:4])
    assert dropped / tokens == pytest.approx(masked.metrics()["masked"])
    moments = trainer.objectives.steps.state_dict()["relift"]
    assert len(moments) == len(moved), "of the adapter alone"


def test_what_cannot_work_is_told_before_the_model_loads(tmp_path):
    with pytest.raises(ValueError, match=r"demonstration_column \('demonstration'\) is not in the data"):
        relift(tmp_path, data=make_data(), model="no/model")
    with pytest.raises(ValueError, match="rejects 64 of 64 demonstrations"):
        relift(tmp_path, even_start, model="no/model")
    with pytest.raises(ValueError, match=r"relift_pairs \(0\) must be at least 1"):
        relift(tmp_path, pairs=0, model="no/model")
