"""Where TRL keeps its asynchronous trainer, and what is used of it beside its documented arguments.

For TRL 1.18, which moved these modules and has a public rollout loop, this file is what changes.

Of the trainer: `_save_checkpoint`, `_sync_weight` (called again when the server comes back), `model_version`,
`_metrics`, `_lora_sync`, `_lora_name`, `_groups_before_resume`, `eos_token_ids`, `get_train_dataloader`,
whose collator gets a micro-batch as rows with their `samples`. Of the loop: `_run_loops`, `_generate_one`,
`_score_group`, `reward_funcs`, `reward_func_names`, `session`, `_counters`, `_rates`, `_push_metrics`,
`_total_completion_tokens`.
"""

from trl.experimental.async_grpo.async_grpo_config import AsyncGRPOConfig
from trl.experimental.async_grpo.async_grpo_trainer import AsyncGRPOTrainer
from trl.experimental.async_grpo.async_rollout_worker import (
    RolloutGroup,
    RolloutSample,
    _AsyncRolloutLoop,
    _scrub_child_env,
)

__all__ = [
    "AsyncGRPOConfig",
    "AsyncGRPOTrainer",
    "RolloutGroup",
    "RolloutLoop",
    "RolloutSample",
    "leave_trainers_environment",
]

RolloutLoop = _AsyncRolloutLoop
leave_trainers_environment = _scrub_child_env
"""Takes the ranks of the trainer's process group, and its GPUs, out of a child's environment."""
