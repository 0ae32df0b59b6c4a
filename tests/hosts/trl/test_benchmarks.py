"""Guards benchmarks during a training: what is logged, and that the training does not notice."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from peft import LoraConfig
from tiny_trl import (
    even_start,
    ledger_rows,
    make_data,
    make_model,
    make_plain_trainer,
    make_trainer,
    weights,
)

from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import Settings, make_task
from rlkit.evaluate.run import evaluate
from rlkit.hosts.trl.benchmarks import BenchmarkCallback

DRAWS = """
import random, numpy, torch

def draws(completions, **_):
    return [float(random.random() + numpy.random.rand() + torch.rand(()).item() > 1.5) for _ in completions]
"""
REWARD = f"{Path(__file__).with_name('tiny_trl.py')}:even_start"
LORA = {"peft_config": LoraConfig(target_modules=["q_proj", "v_proj"], lora_dropout=0.5, r=4)}
TIMED = ("seconds", "runtime", "per_second", "step_time")


@pytest.fixture
def task(tmp_path):
    return make_digits(tmp_path)


def make_digits(folder, name="digits", reward=REWARD, num=10):
    """A benchmark of short numbers."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps({'question': f'{i:03d}='})}\n" for i in range(num)))
    return make_task(Benchmark(name=name, reward=reward, question="{question}", data=str(path)))


def dropping_model():
    model = make_model()
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    return model


def evaluations(trainer):
    return [row for row in trainer.state.log_history if any(name.startswith("eval_") for name in row)]


def training_log(trainer):
    """Without evaluations and seconds."""
    rows = [row for row in trainer.state.log_history if row not in evaluations(trainer)]
    return [{key: row[key] for key in row if not any(word in key for word in TIMED)} for row in rows]


@pytest.mark.parametrize(
    ("curriculum", "model", "extra"),
    [("dapo", make_model, None), ("pcl", dropping_model, None), ("uniform", dropping_model, LORA)],
)
def test_the_training_does_not_notice(tmp_path, curriculum, model, extra):
    (tmp_path / "draws.py").write_text(DRAWS)
    task = make_digits(tmp_path, reward=f"{tmp_path / 'draws.py'}:draws")

    def run(name, with_benchmark):
        random.seed(1)
        np.random.seed(2)
        trainer = make_trainer(
            tmp_path / name, curriculum, model=model(), extra=extra, max_steps=4, logging_steps=2
        )
        if with_benchmark:
            trainer.add_callback(BenchmarkCallback(trainer, [task], 1, num_samples=2, prompt_form="plain"))
        trainer.train()
        return trainer, (random.random(), np.random.rand())

    (plain, drawn), (watched, drawn_watched) = run("plain", False), run("watched", True)
    assert len(evaluations(watched)) == 4 and evaluations(plain) == []
    for name, tensor in weights(plain).items():
        assert tensor.equal(weights(watched)[name]), name
    assert training_log(plain) == training_log(watched)
    assert json.dumps(ledger_rows(tmp_path / "plain")) == json.dumps(ledger_rows(tmp_path / "watched"))
    assert drawn == drawn_watched


def test_it_logs_what_rlkit_eval_finds_in_the_saved_model(tmp_path, task):
    trainer = make_trainer(tmp_path / "run", max_steps=3)
    callback = BenchmarkCallback(trainer, [task], 2, num_samples=2, prompt_form="plain", seed=7)
    trainer.add_callback(callback)
    trainer.train()
    assert [row["step"] for row in evaluations(trainer)] == [2, 3], "every second step, and at the end"
    logged = evaluations(trainer)[-1]
    trainer.save_model(str(tmp_path / "model"))
    settings = Settings(
        num_samples=2, max_new_tokens=3, prompt_form="plain", batch_size=callback.engine.batch_size, seed=7
    )
    (result,) = evaluate([str(tmp_path / "model")], [task], settings, tmp_path / "out")
    assert {key: logged[f"eval_digits/{key}"] for key in ("accuracy", "pass@2", "tokens", "truncated")} == {
        "accuracy": result.summary.accuracy,
        "pass@2": result.summary.pass_at_k[2],
        "tokens": result.summary.mean_tokens,
        "truncated": result.summary.truncated,
    }
    assert 0 < result.summary.accuracy < 1


def test_before_the_first_step_too_where_the_trainer_evaluates_there(tmp_path, task):
    trainer = make_plain_trainer(
        tmp_path, even_start, make_data(), max_steps=1, eval_on_start=True, eval_strategy="steps",
        eval_steps=5, per_device_eval_batch_size=4, extra={"eval_dataset": make_data(4)},
    )  # fmt: skip
    trainer.add_callback(BenchmarkCallback(trainer, [task], 10, prompt_form="plain"))
    trainer.train()
    steps = [row["step"] for row in evaluations(trainer) if "eval_digits/accuracy" in row]
    assert steps == [0, 1]


def test_a_resumed_run_is_as_if_never_stopped(tmp_path, task):
    def trainer_with(folder, steps):
        saving = {"save_strategy": "steps", "save_steps": 2}
        trainer = make_trainer(folder, "dapo", max_steps=steps, lr_scheduler_type="constant", **saving)
        trainer.add_callback(BenchmarkCallback(trainer, [task], 1, prompt_form="plain"))
        return trainer

    whole = trainer_with(tmp_path / "whole", 4)
    whole.train()
    trainer_with(tmp_path / "parts", 2).train()
    resumed = trainer_with(tmp_path / "parts", 4)
    resumed.train(resume_from_checkpoint=True)
    for name, tensor in weights(whole).items():
        assert tensor.equal(weights(resumed)[name]), name
    accuracies = [[row["eval_digits/accuracy"] for row in evaluations(run)] for run in (whole, resumed)]
    assert accuracies[0] == accuracies[1] and len(accuracies[0]) == 4


def test_a_reward_that_scores_nothing_ends_no_run(tmp_path, caplog):
    reward = tmp_path / "never.py"
    reward.write_text("def never(completions, **_):\n    return [None] * len(completions)\n")
    task = make_digits(tmp_path, reward=f"{reward}:never")
    trainer = make_trainer(tmp_path / "run", max_steps=1)
    trainer.add_callback(BenchmarkCallback(trainer, [task], 1, prompt_form="plain"))
    trainer.train()
    assert trainer.state.global_step == 1
    assert "benchmark digits: its reward could score none of the problems" in caplog.text


def test_what_cannot_work_is_told_before_the_training(tmp_path, task):
    trainer = make_trainer(tmp_path / "run")
    with pytest.raises(ValueError, match=r"every_steps \(0\) must be at least 1"):
        BenchmarkCallback(trainer, [task], 0)
    with pytest.raises(ValueError, match=r"\['digits', 'digits'\] must have different names"):
        BenchmarkCallback(trainer, [task, task], 1)
    with pytest.raises(ValueError, match="gives the same completion each time"):
        BenchmarkCallback(trainer, [task], 1, num_samples=2, temperature=0)
    long = make_task(replace(task.benchmark, template="{question}" * 16))
    with pytest.raises(ValueError, match=r"problem '0' has 64 tokens, and the trainer's engine takes 64"):
        BenchmarkCallback(trainer, [long], 1, prompt_form="plain")


@pytest.mark.slow
def test_two_processes_find_what_one_does_and_train_undisturbed(tmp_path):
    script = str(Path(__file__).with_name("benchmark_run.py"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, script, str(tmp_path / "two")], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-4000:]
    ranks = [json.loads((tmp_path / "two" / f"{rank}.json").read_text()) for rank in range(2)]
    for rank in ranks:
        assert rank["watched"]["weights"] == rank["plain"]["weights"]
        assert rank["watched"]["evaluated"] == ranks[0]["watched"]["evaluated"]
        assert [row["step"] for row in rank["watched"]["evaluated"]] == [1, 2]
    settings = Settings(temperature=0, max_new_tokens=3, prompt_form="plain")
    task = make_digits(tmp_path, num=20)
    (result,) = evaluate([str(tmp_path / "two" / "model")], [task], settings, tmp_path / "out")
    last = ranks[0]["watched"]["evaluated"][-1]
    assert last["eval_digits/accuracy"] == result.summary.accuracy
    assert last["eval_digits/tokens"] == result.summary.mean_tokens
