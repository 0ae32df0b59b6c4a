"""Guards that what TRL's trainer offers goes on working: data, rewards, models, losses, tools, logging."""

import asyncio

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig
from tiny_trl import (
    NUM_GENERATIONS,
    Recorder,
    by_place,
    choices,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_messages,
    make_model,
    make_tiered,
    make_tokenizer,
    make_trainer,
    metrics,
    share_of_ones,
    text_of,
    tiny,
    weights,
)
from transformers import TrainerCallback

from rlkit import PRESETS, CurriculumConfig

SLOW = pytest.mark.slow
PRESET_PARAMS = ["dapo", *(pytest.param(name, marks=SLOW) for name in ("uniform", "pcl"))]


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_message_prompts(tmp_path, preset):
    recorder = Recorder(even_start)
    trainer = make_trainer(tmp_path, preset, recorder, data=make_messages(), max_steps=2)
    trainer.train()
    prompts = {prompt[0]["content"] for prompt, _ in recorder.rows}
    assert prompts == {f"{row['index']:03d}" for row in ledger_rows(tmp_path)}
    assert len(losses(trainer)) == 2


def test_message_prompts_equal_their_text(tmp_path):
    """The template only adds "=", so a run on messages is a run on the rendered text."""
    make_trainer(tmp_path / "messages", "pcl", data=make_messages(), max_steps=2).train()
    make_trainer(tmp_path / "text", "pcl", data=make_data(32), max_steps=2).train()
    signals = [[row["signals"] for row in ledger_rows(tmp_path / name)] for name in ("messages", "text")]
    assert signals[0] == signals[1]
    assert choices(tmp_path / "messages") == choices(tmp_path / "text")


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_extra_columns_reach_the_reward(tmp_path, preset):
    seen = []

    def right_answer(prompts, completions, answer, pass_rate, trainer_state, completion_ids, **columns):
        seen.extend(zip(prompts, answer, pass_rate, strict=True))
        return [float(answer in text_of(text)) for text, answer in zip(completions, answer, strict=True)]

    make_trainer(tmp_path, preset, right_answer, max_steps=2).train()
    by_prompt = {row["prompt"]: row for row in make_data()}
    assert len(seen) >= 2 * 16
    for prompt, answer, pass_rate in seen:
        assert (answer, pass_rate) == (by_prompt[prompt]["answer"], by_prompt[prompt]["pass_rate"])


@pytest.mark.parametrize("preset", ["dapo", "pcl"])
def test_lora_trains_the_adapter_alone(tmp_path, preset):
    peft_config = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    trainer = make_trainer(tmp_path, preset, max_steps=2, extra={"peft_config": peft_config})
    before = weights(trainer)
    features = trainer.host.senses.features(np.arange(4))
    trainer.train()
    moved = {name for name, tensor in weights(trainer).items() if not torch.equal(tensor, before[name])}
    assert moved and all("lora_" in name for name in moved)
    assert not np.allclose(trainer.host.senses.features(np.arange(4)), features), "features see the adapter"


@SLOW
@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "bnpo", "dr_grpo", "cispo", "luspo", "sapo", "vespo"])
def test_loss_types(tmp_path, loss_type):
    trainer = make_trainer(tmp_path, "dapo", max_steps=2, loss_type=loss_type, num_iterations=2)
    before = weights(trainer)
    trainer.train()
    assert all(np.isfinite(losses(trainer)))
    assert any(not torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())


@SLOW
@pytest.mark.parametrize(
    "settings",
    [
        {"scale_rewards": "batch"},
        {"scale_rewards": "none"},
        {"multi_objective_aggregation": "normalize_then_sum"},
        {"mask_truncated_completions": True},
        {"importance_sampling_level": "sequence", "loss_type": "grpo"},
        {"top_entropy_quantile": 0.5},
        {"entropy_coef": 0.01},
        {"off_policy_mask_threshold": 0.5},
        {"delta": 2.0},
        {"generation_kwargs": {"top_k": 3}},
        {"dataloader_num_workers": 1},
        {"torch_empty_cache_steps": 1},
    ],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.parametrize("preset", ["dapo", "shrink"])
def test_settings(tmp_path, preset, settings):
    config = {
        "dapo": CurriculumConfig(curriculum="dapo"),
        "shrink": CurriculumConfig(curriculum="dapo", max_rounds=1, fill="shrink"),
    }
    rewards = [even_start, share_of_ones]
    trainer = make_trainer(tmp_path, config[preset], rewards, max_steps=2, num_iterations=2, **settings)
    trainer.train()
    assert len(losses(trainer)) == 2 and all(np.isfinite(losses(trainer)))


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_reference_model(tmp_path, preset):
    make_model().save_pretrained(tmp_path / "model")
    trainer = make_trainer(tmp_path / "run", preset, model=str(tmp_path / "model"), beta=0.1, max_steps=3)
    trainer.train()
    kl = [line["kl"] for line in trainer.state.log_history if "kl" in line]
    assert kl[0] == pytest.approx(0, abs=1e-6) and kl[-1] > 1e-4


@pytest.mark.parametrize(
    "preset", ["dapo", *(pytest.param(name, marks=SLOW) for name in PRESETS if name != "dapo")]
)
def test_callbacks_and_evaluation(tmp_path, preset):
    events = []

    class Listening(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            events.append(("step", state.global_step))

        def on_evaluate(self, args, state, control, metrics, **kwargs):
            events.append(("eval", metrics["eval_reward"]))

        def on_log(self, args, state, control, logs, **kwargs):
            events.append(("log", "curriculum/effective_ratio" in logs))

    trainer = make_trainer(
        tmp_path,
        tiny(preset),
        max_steps=2,
        eval_strategy="steps",
        eval_steps=1,
        per_device_eval_batch_size=8,
        data=make_tiered() if preset == "rmt" else None,
        extra={"callbacks": [Listening()], "eval_dataset": make_data(4)},
    )
    trainer.train()
    assert [value for kind, value in events if kind == "step"] == [1, 2]
    assert len([value for kind, value in events if kind == "eval"]) == 2
    assert ("log", True) in events


def test_logged_completions_stay_aligned(tmp_path):
    """Under dapo the table holds the trained rows; each extra column stands beside its own completion."""

    def logging_reward(prompts, completions, log_extra, log_metric, **columns):
        values = even_start(completions)
        log_extra("copy", [f"{prompt}{text}" for prompt, text in zip(prompts, completions, strict=True)])
        log_extra("value", values)
        log_metric("seen", float(len(prompts)))
        return values

    def flaky(completions, trainer_state, log_extra, **columns):
        log_extra("flaky", list(completions))
        if trainer_state.global_step == 1:
            raise RuntimeError
        return [0.0] * len(completions)

    trainer = make_trainer(tmp_path, "dapo", [logging_reward, flaky], max_steps=3, log_completions=True)
    trainer.train()
    files = sorted((tmp_path / "completions").glob("*.parquet"))
    assert len(files) == 3
    for step, file in enumerate(files, start=1):
        table = pd.read_parquet(file)
        assert len(table) == 16 and set(table["step"]) == {step}
        assert (table["copy"] == table["prompt"] + table["completion"]).all()
        assert (table["value"] == table["logging_reward"]).all()
        assert table["value"].tolist() == even_start(table["completion"])
        groups = table["prompt"].to_numpy().reshape(-1, NUM_GENERATIONS)
        assert (groups == groups[:, :1]).all()
        if step != 2:  # what a failing reward logged is dropped
            assert table["flaky"].tolist() == table["completion"].tolist()
    assert all("seen" in line for line in trainer.state.log_history if "loss" in line)


def test_async_rewards_run_side_by_side(tmp_path):
    running, most = 0, 0

    async def wait(values):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return values

    async def one(completions, **columns):
        return await wait(even_start(completions))

    async def other(completions, **columns):
        return await wait(share_of_ones(completions))

    trainer = make_trainer(tmp_path / "async", "dapo", [one, other], max_steps=2)
    trainer.train()
    make_trainer(tmp_path / "sync", "dapo", [even_start, share_of_ones], max_steps=2).train()
    assert most == 2
    assert ledger_rows(tmp_path / "async") == ledger_rows(tmp_path / "sync")


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_rollout_function_with_a_field_for_the_reward(tmp_path, preset):
    calls = []

    def rollout(prompts, trainer):
        calls.append(len(prompts))
        completion_ids = [[1 + (len(calls) + place) % 10, 0] for place in range(len(prompts))]
        return {
            "prompt_ids": trainer.processing_class(text=prompts)["input_ids"],
            "completion_ids": completion_ids,
            "logprobs": [[-1.0, -1.0]] * len(prompts),
            "note": [f"{prompt}{ids[0]}" for prompt, ids in zip(prompts, completion_ids, strict=True)],
            "env_mask": [[1, 0]] * len(prompts),
        }

    def reads_note(prompts, completion_ids, note, **columns):
        assert note == [f"{prompt}{ids[0]}" for prompt, ids in zip(prompts, completion_ids, strict=True)]
        return [float(ids[0] % 2) for ids in completion_ids]

    trainer = make_trainer(tmp_path, preset, reads_note, max_steps=2, extra={"rollout_func": rollout})
    trainer.train()
    rows = ledger_rows(tmp_path)
    assert sum(calls) == NUM_GENERATIONS * len(rows)
    assert all(row["lengths"] == [1] * NUM_GENERATIONS for row in rows), "masked tokens are not the policy's"
    assert all(row["grade/error"] == 0 for row in metrics(tmp_path))


def test_reward_model(tmp_path):
    """A torch module is TRL's own affair: it is not guarded, and its scores are the signal."""
    from transformers import Qwen2ForSequenceClassification

    config = make_model().config
    config.num_labels = 1
    torch.manual_seed(1)
    scorer = Qwen2ForSequenceClassification(config)
    scorer.config._name_or_path = "tiny/scorer"
    curriculum = CurriculumConfig(
        curriculum="pcl", curriculum_signal="scorer", signal_min=-5.0, signal_max=5.0
    )
    extra = {"reward_processing_classes": [make_tokenizer(), None]}
    trainer = make_trainer(tmp_path, curriculum, [scorer, even_start], max_steps=2, extra=extra)
    trainer.train()
    signals = [value for row in ledger_rows(tmp_path) for value in row["signals"]]
    assert len(set(signals)) > 2 and all(np.isfinite(signals))


def test_arguments_by_position(tmp_path):
    """As `GRPOTrainer`: the fifth is the evaluation data, the sixth the tokenizer."""
    from tiny_trl import make_args

    from rlkit import CurriculumGRPOTrainer

    args = make_args(tmp_path, max_steps=1, per_device_eval_batch_size=8)
    trainer = CurriculumGRPOTrainer(
        make_model(), by_place(), args, make_data(), make_data(4), make_tokenizer(), curriculum="dapo"
    )
    trainer.train()
    assert "eval_reward" in trainer.evaluate()
