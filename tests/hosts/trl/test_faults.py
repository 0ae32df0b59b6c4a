"""Guards a run against what its rewards, data, engine and disk may do: it is counted, and the run goes on."""

import logging
import math
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    by_place,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_trainer,
    metrics,
    weights,
)
from transformers import TrainerCallback

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.collect import UnfilledBatchError
from rlkit.hosts.trl.watch import NothingGradedError
from rlkit.record.manifest import defect

A_STEP = GROUPS * NUM_GENERATIONS
SAVING = {"save_strategy": "steps", "save_steps": 1}


def is_finite(trainer):
    return all(torch.isfinite(tensor).all() for tensor in weights(trainer).values())


# ---------------------------------------------------------------------------------------------------------
# Rewards


def raises(completions, **columns):
    raise RuntimeError("no")


def returning(value):
    def reward(completions, **columns):
        return [value] * len(completions)

    return reward


def sometimes(value):
    """A bad value for completions that begin with an odd digit."""

    def reward(completions, **columns):
        rewards = even_start(completions)
        return [value if text[:1] in set("13579") else rewards[row] for row, text in enumerate(completions)]

    return reward


BAD_VALUES = {"nan": math.nan, "none": None, "infinity": math.inf, "beyond_float32": 1e300, "text": "0.5"}
COUNTED_AS_ERRORS = ("infinity", "beyond_float32", "text")


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_some_bad_rewards_are_unscorable_and_the_run_goes_on(tmp_path, kind):
    trainer = make_trainer(tmp_path, "pcl", sometimes(BAD_VALUES[kind]), max_steps=3)
    trainer.train()
    rows = metrics(tmp_path)
    unscorable = [row["rollouts/unscorable"] for row in rows]
    assert all(0 < number < A_STEP for number in unscorable)
    signals = np.array([row["signals"] for row in ledger_rows(tmp_path)]).reshape(3, A_STEP)
    assert np.isnan(signals).sum(axis=1).tolist() == unscorable
    assert [row["grade/error"] for row in rows] == (unscorable if kind in COUNTED_AS_ERRORS else [0] * 3)
    assert is_finite(trainer) and all(map(math.isfinite, losses(trainer)))


@pytest.mark.parametrize("kind", ["raises", *BAD_VALUES])
def test_a_run_that_nobody_can_grade_stops_with_a_checkpoint_and_its_reason(tmp_path, kind):
    config = CurriculumConfig(curriculum="dapo", max_ungraded_steps=3)
    reward = raises if kind == "raises" else returning(BAD_VALUES[kind])
    trainer = make_trainer(tmp_path, config, reward, max_steps=20)
    with pytest.raises(NothingGradedError) as stop:
        trainer.train()
    assert "stopped after step 3: no completion could be graded for 3 steps" in str(stop.value)
    assert (
        kind != "raises" or "RuntimeError('no')" in str(stop.value) or "last failure: no" in str(stop.value)
    )
    assert len(metrics(tmp_path)) == 3 and defect(tmp_path / "checkpoint-3") is None
    healed = make_trainer(tmp_path, config, even_start, max_steps=5)
    healed.train(resume_from_checkpoint="auto")
    assert healed.state.global_step == 5 and is_finite(healed)


def test_a_step_with_one_grade_begins_the_count_anew(tmp_path):
    def now_and_then(completions, trainer_state, **columns):
        graded = trainer_state.global_step % 3 == 2
        return [1.0 if graded and row == 0 else None for row in range(len(completions))]

    config = CurriculumConfig(curriculum="uniform", max_ungraded_steps=3)
    trainer = make_trainer(tmp_path, config, now_and_then, max_steps=8)
    trainer.train()
    assert trainer.state.global_step == 8


def test_a_reward_that_hangs_costs_its_batch_only(tmp_path):
    def hanging(completions, trainer_state, **columns):
        if trainer_state.global_step == 1:
            time.sleep(60)
        return even_start(completions)

    start = time.monotonic()
    config = CurriculumConfig(curriculum="uniform", reward_timeout=0.5)
    trainer = make_trainer(tmp_path, config, hanging, max_steps=3)
    trainer.train()
    assert time.monotonic() - start < 20
    assert [row["grade/error"] for row in metrics(tmp_path)] == [0, A_STEP, 0]
    assert trainer.state.global_step == 3


@contextmanager
def judge():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"1.0")

        def log_message(self, *args): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_a_judge_server_that_goes_away_is_counted(tmp_path, caplog):
    """A real server on this machine, which stops after step 1 and is back for step 4 on the same port."""
    port = 0

    def asks(completions, **columns):
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            grade = float(answer.read())
        return [grade * value for value in even_start(completions)]

    class Switch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 1:
                server.shutdown()
                server.server_close()

    with judge() as server:
        port = server.server_address[1]
        trainer = make_trainer(tmp_path, "uniform", asks, extra={"callbacks": [Switch()]}, max_steps=3)
        trainer.train()
    assert [row["grade/error"] for row in metrics(tmp_path)] == [0, A_STEP, A_STEP]
    assert "reward function asks failed on 16 completions" in caplog.text and "refused" in caplog.text


class Infinite(torch.nn.Module):
    """A reward model whose logits are infinite for every other row."""

    config = type("Config", (), {"_name_or_path": "judge", "pad_token_id": 0})()

    def forward(self, input_ids, **columns):
        logits = (input_ids.sum(dim=1) % 7).float()
        logits[::2] = torch.inf
        return type("Output", (), {"logits": logits[:, None]})()


def test_infinite_logits_of_a_reward_model_never_reach_the_weights(tmp_path):
    from tiny_trl import make_tokenizer

    extra = {"reward_processing_classes": [make_tokenizer()]}
    trainer = make_trainer(tmp_path, "uniform", [Infinite()], extra=extra, max_steps=2)
    trainer.train()
    assert [row["grade/error"] for row in metrics(tmp_path)] == [A_STEP // 2] * 2
    assert is_finite(trainer)


# ---------------------------------------------------------------------------------------------------------
# Data

CONTEXT = 64
BAD_PROMPTS = {"too long": "1" * CONTEXT, "missing": None, "empty": ""}


def spoiled_data(num=24):
    rows = [dict(row) for row in make_data(num)]
    return Dataset.from_list([*rows, *({**rows[0], "prompt": prompt} for prompt in BAD_PROMPTS.values())])


@pytest.mark.parametrize(
    "curriculum",
    ["uniform", "pcl", "dapo", "dots", CurriculumConfig(curriculum="pcl", value_features="text")],
)
def test_rows_that_cannot_be_rolled_out_are_left_out(tmp_path, curriculum, caplog):
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        trainer = make_trainer(tmp_path, curriculum, by_place(), data=spoiled_data(), max_steps=8)
        trainer.train()
    assert metrics(tmp_path)[-1]["pool/unusable"] == len(BAD_PROMPTS)
    assert {row["index"] for row in ledger_rows(tmp_path)} <= set(range(24))
    assert "row 24 of the pool is left out: its prompt has 64 tokens, and the context 64" in caplog.text
    assert "row 25 of the pool is left out: its prompt None cannot be tokenized" in caplog.text
    assert "row 26 of the pool is left out: its prompt '' has no tokens" in caplog.text


def test_messages_that_cannot_be_rolled_out_are_left_out(tmp_path):
    good = [[{"role": "user", "content": f"{i:03d}"}] for i in range(12)]
    bad = [None, [{"role": "user", "content": "1" * CONTEXT}]]
    data = Dataset.from_list([{"prompt": prompt} for prompt in [*good, *bad]])
    make_trainer(tmp_path, "uniform", even_start, data=data, max_steps=5).train()
    row = metrics(tmp_path)[-1]
    assert row["pool/pass"] > 1 and row["pool/unusable"] == 2
    assert {entry["index"] for entry in ledger_rows(tmp_path)} == set(range(12))


def test_the_longest_prompt_that_fits_is_rolled_out(tmp_path):
    rows = [{"prompt": "1" * (CONTEXT - 1 - i)} for i in range(GROUPS)]
    trainer = make_trainer(tmp_path, data=Dataset.from_list(rows), max_steps=1, max_completion_length=1)
    trainer.train()
    assert metrics(tmp_path)[-1]["pool/unusable"] == 0


def test_a_pool_without_enough_usable_prompts_says_so(tmp_path):
    rows = [{"prompt": f"{i}=" if i < 3 else "1" * (CONTEXT + i)} for i in range(9)]
    trainer = make_trainer(tmp_path, data=Dataset.from_list(rows), max_steps=1)
    with pytest.raises(
        UnfilledBatchError, match="3 prompts could be rolled out for a batch of 4: the pool has 9"
    ):
        trainer.train()


def test_resume_beside_bad_rows_is_exact(tmp_path):
    def run(folder, **more):
        settings = {"max_steps": 8, **more}
        return make_trainer(tmp_path / folder, "pcl", by_place(), data=spoiled_data(), **settings)

    run("straight").train()
    run("stopped", **{**SAVING, "save_steps": 3}).train()
    resumed = run("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert ledger_rows(tmp_path / "straight") == ledger_rows(tmp_path / "stopped")


# ---------------------------------------------------------------------------------------------------------
# The engine


class Flaky(CurriculumGRPOTrainer):
    """Its model's generation fails at these calls, after it has used up random numbers."""

    failing: tuple[int, ...] = (2,)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls, generate = 0, self.model.generate

        def flaky(*args, **kwargs):
            self.calls += 1
            if self.calls in self.failing:
                torch.rand(3)
                raise ConnectionError("engine is away")
            return generate(*args, **kwargs)

        self.model.generate = flaky


class Broken(Flaky):
    failing = (2, 3)


def test_an_engine_call_that_fails_once_changes_nothing(tmp_path, caplog):
    flaky = make_trainer(tmp_path / "flaky", "pcl", kind=Flaky, max_steps=3)
    flaky.train()
    plain = make_trainer(tmp_path / "plain", "pcl", max_steps=3)
    plain.train()
    assert [row["generate/retried"] for row in metrics(tmp_path / "flaky")] == [0, 1, 0]
    assert "generation failed and is tried once more: ConnectionError('engine is away')" in caplog.text
    assert ledger_rows(tmp_path / "flaky") == ledger_rows(tmp_path / "plain")
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(flaky)[name], tensor), name


def test_an_engine_that_fails_twice_ends_the_run_which_can_be_resumed(tmp_path):
    with pytest.raises(ConnectionError):
        make_trainer(tmp_path / "broken", "pcl", kind=Broken, max_steps=3, **SAVING).train()
    resumed = make_trainer(tmp_path / "broken", "pcl", max_steps=3)
    resumed.train(resume_from_checkpoint="auto")
    plain = make_trainer(tmp_path / "plain", "pcl", max_steps=3)
    plain.train()
    assert ledger_rows(tmp_path / "broken") == ledger_rows(tmp_path / "plain")


def test_a_rollout_function_that_fails_once(tmp_path):
    from tiny_trl import scripted

    calls = []

    def rollout(prompts, trainer):
        calls.append(len(prompts))
        if len(calls) == 1:
            raise TimeoutError("server is away")
        return scripted()(prompts, trainer)

    make_trainer(tmp_path, extra={"rollout_func": rollout}, max_steps=2).train()
    assert [row["generate/retried"] for row in metrics(tmp_path)] == [1, 0]


def test_guards_warn_and_are_logged(tmp_path, caplog):
    """An answer that is always right has no gradient, and completions of one token are all cut off."""
    settings = {"max_steps": 21, "max_completion_length": 1}
    trainer = make_trainer(tmp_path, "uniform", returning(1.0), **settings)
    trainer.train()
    rows = metrics(tmp_path)
    assert [row["guards/effective_ratio"] for row in rows] == [0.0] * 19 + [1.0] * 2
    assert "for 20 steps fewer than 5% of the trained groups had rewards that differ" in caplog.text
    make_trainer(tmp_path / "off", CurriculumConfig(guards=False), returning(1.0), max_steps=1).train()
    assert not any("guards" in name for name in metrics(tmp_path / "off")[0])
