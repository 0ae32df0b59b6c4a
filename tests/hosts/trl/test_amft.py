"""Guards AMFT and RMT in the trainer: their terms beside every loss, accumulation, iterations and LoRA, exact
resume, refusals."""

import json
import math

import pytest
import torch
from peft import LoraConfig
from test_objectives import LOSS_TYPES, Tracing, gradient
from test_relift import demonstrated, ends_in_plus, now_and_then
from test_resume import CYCLES, STEPS, StopAt, assert_same_run
from tiny_trl import make_model, make_tokenizer, make_trainer

from rlkit.objectives import ObjectivesConfig


def amft(folder, held, rewards=now_and_then, extra=None, **settings):
    config = ObjectivesConfig(
        "amft", amft_validation=str(held), amft_rows=2, amft_every=2, amft_warmup=1, amft_rate=0.1
    )
    extra = {"objectives": config, **(extra or {})}
    return make_trainer(folder, "uniform", rewards, data=demonstrated(), extra=extra, **settings)


@pytest.fixture
def held(tmp_path):
    file = tmp_path / "held.jsonl"
    rows = [{"prompt": f"{i}+", "demonstration": "9+"} for i in range(5)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def both(folder, held, **settings):
    """amft, whose mu moves at every generation, and rmt."""
    config = ObjectivesConfig(
        "amft,rmt", amft_validation=str(held), amft_rows=2, rmt_rows=2, amft_every=1, amft_warmup=0
    )
    data = demonstrated()
    data = data.add_column("reference", [f"{answer}+" for answer in data["answer"]])
    extra = {"objectives": config, **settings.pop("extra", {})}
    return make_trainer(folder, "uniform", now_and_then, data=data, extra=extra, **settings)


def nll(model, texts):
    """Of the tokens of each text from the second on."""
    ids = torch.tensor(make_tokenizer()(texts)["input_ids"])
    return -model(ids).logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])[..., 0]


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_terms_beside_every_loss_type(tmp_path, held, loss_type):
    """By hand in the first of two micro-batches, which are gone through twice."""
    cut = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "num_iterations": 2}
    trainer = both(tmp_path, held, kind=Tracing, loss_type=loss_type, max_steps=2, **cut)
    trainer.train()
    model, (amft, rmt) = make_model(), trainer.objectives.all
    shown = nll(model, [row["prompt"] + "9+<eos>" for row in amft._lessons.taken(0, 2)])[:, 3:].mean()
    read_on = nll(model, [row["prompt"] + row["reference"] for row in rmt._lessons.taken(0, 2)])[:, 4:].mean()
    terms = (0.5 * shown + 0.1 * read_on) / 2
    _, whole, plain, loss, plain_loss = trainer.traced[0]
    assert len(trainer.traced) == 4 and loss - plain_loss == pytest.approx(terms.item(), abs=1e-5)
    torch.testing.assert_close(whole, 0.5 * plain + gradient(model, terms), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "lora"),
    [
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}, False),
        ({"num_iterations": 2, "max_steps": 8}, False),
        ({}, True),
    ],
    ids=["accumulation", "iterations", "lora"],
)
def test_mu_moves_and_demonstrations_train(tmp_path, held, settings, lora):
    extra = {"peft_config": LoraConfig(r=4, target_modules=["q_proj"])} if lora else None
    settings = {"max_steps": 4, "learning_rate": 1e-3, **settings}
    trainer = amft(tmp_path / "run", held, extra=extra, **settings)
    trainer.train()
    numbers = trainer.objectives.all[0].metrics()
    assert numbers["mu"] != 0.5 and abs(numbers["gain"]) > 0.01
    assert 0 < numbers["supervised"] < math.inf and 0 < numbers["entropy"] < math.inf


def test_resume_is_exact_in_the_middle_of_the_controllers_cycle(tmp_path, held):
    def trainer(folder, callbacks=(), **settings):
        extra = {"callbacks": list(callbacks)}
        return amft(tmp_path / folder, held, extra=extra, max_steps=6, learning_rate=1e-3, **settings)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
    assert resumed.objectives.all[0].metrics() == straight.objectives.all[0].metrics()


def test_resume_in_mid_cycle(tmp_path, held):
    """The checkpoint lies within a generation, after mu of the next one was found."""

    def trainer(folder, callbacks=(), **more):
        settings = {**CYCLES["accumulation"], "max_steps": STEPS, "learning_rate": 1e-3, **more}
        return both(tmp_path / folder, held, extra={"callbacks": list(callbacks)}, **settings)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
    assert straight.objectives.all[0].metrics()["mu"] != 0.5


def test_a_validation_set_longer_than_the_context(tmp_path):
    file = tmp_path / "held.jsonl"
    rows = [{"prompt": f"{i}+", "demonstration": "9" * 62 + "+"} for i in range(3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"amft_validation: 3 of 3 .* longer than the context"):
        amft(tmp_path, file, ends_in_plus)


def test_what_cannot_go_together_is_told_before_the_model_loads(tmp_path, held, monkeypatch):
    with pytest.raises(ValueError, match="names relift and amft: both spend the demonstrations"):
        config = ObjectivesConfig("relift,amft", amft_validation=str(held))
        make_trainer(tmp_path, "uniform", data=demonstrated(), extra={"objectives": config}, model="no/model")
    checkpointing = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}}
    with pytest.raises(ValueError, match="use_reentrant true have none"):
        amft(tmp_path, held, model="no/model", **checkpointing)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match="compares whole gradients, and FSDP and DeepSpeed shard them"):
        amft(tmp_path, held, model="no/model")
