"""Guards that TRL still has what `places.py` says is used of it, so that another version is noticed here."""

import dataclasses
import inspect
import os
from types import SimpleNamespace

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from rlkit.hosts.async_trl import places
from rlkit.hosts.async_trl.loop import that_fit


def test_the_trainer_has_what_is_overridden_and_read():
    source = inspect.getsource(places.AsyncGRPOTrainer)
    for name in ("_save_checkpoint", "_sync_weight", "get_train_dataloader", "training_step"):
        assert callable(getattr(places.AsyncGRPOTrainer, name))
    for name in ("model_version", "_lora_sync", "_lora_name", "_groups_before_resume", "eos_token_ids"):
        assert f"self.{name} = " in source
    assert "rollout_worker" in inspect.signature(places.AsyncGRPOTrainer.__init__).parameters


def test_the_loop_takes_what_it_is_given():
    parameters = inspect.signature(places.RolloutLoop.__init__).parameters
    given = [
        "model_name",
        "lora_name",
        "dataset",
        "reward_funcs",
        "processing_class",
        "eos_token_ids",
        "rollout_buffer",
        "tools",
        "model_version_value",
        "heartbeat_value",
        "failed_event",
        "exception_info_queue",
        "metrics_queue",
        "vllm_server_url",
        "num_generations",
        "max_inflight_tasks",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "max_tokens",
        "request_timeout",
        "chat_template_kwargs",
        "max_tool_calling_iterations",
        "fork_threshold_tokens",
    ]
    assert set(given) <= parameters.keys()
    one = inspect.signature(places.RolloutLoop._generate_one).parameters
    assert list(one) == ["self", "prompt", "tool_dict", "tools", "group_id"]
    assert list(inspect.signature(places.RolloutLoop._score_group).parameters) == ["self", "group"]


def test_rows_that_the_batcher_would_drop_never_reach_it():
    rows = [SimpleNamespace(input_ids=[0] * length) for length in (3, 5, 4)]
    assert [len(row.input_ids) for row in that_fit(rows, 4)] == [3, 4]
    assert that_fit(rows, 0) == that_fit(rows, None) == rows


def test_a_group_and_its_rows_have_the_fields_that_are_filled_in():
    group = {item.name for item in dataclasses.fields(places.RolloutGroup)}
    assert group == {
        "prompts",
        "reward_kwargs",
        "completions",
        "completions_ids",
        "completions_sequences",
        "tool_call_counts",
        "tool_failure_counts",
        "model_version",
        "group_id",
        "env_rewards",
        "rollout_rewards",
        "queued_at",
    }
    sample = {item.name for item in dataclasses.fields(places.RolloutSample)}
    assert {"input_ids", "completion_mask", "old_log_probs", "advantage", "group_id", "metrics"} <= sample
