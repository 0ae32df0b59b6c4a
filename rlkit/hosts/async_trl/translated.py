"""The settings of the synchronous trainer, for the asynchronous one: one YAML file serves both."""

import dataclasses
from typing import Any

from trl.trainer.grpo_config import GRPOConfig

from rlkit.hosts.async_trl.places import AsyncGRPOConfig

OWN_DEFAULTS = {"ignore_data_skip", "accelerator_config", "lr_scheduler_type", "vllm_server_base_url"}
UNIMPORTANT = {
    "use_vllm",
    "vllm_mode",
    "vllm_server_host",
    "vllm_server_port",
    "vllm_gpu_memory_utilization",
    "vllm_tensor_parallel_size",
    "vllm_max_model_length",
    "vllm_enable_sleep_mode",
    "vllm_group_port",
    "generation_batch_size",
    "steps_per_generation",
}
"""Settings of GRPOConfig that the asynchronous trainer can do without: how the engine is started, which is
the server's, and what follows from others."""


def from_sync(args: GRPOConfig, **more: Any) -> AsyncGRPOConfig:
    """The settings of `args` as the asynchronous trainer's.

    Args:
        more: the asynchronous trainer's own settings, and those that are to differ.

    Raises:
        ValueError: it sets what the asynchronous trainer does not have (its loss is GRPO's with token-mean
            and without a KL term, its rewards are summed).
    """
    known = {item.name for item in dataclasses.fields(AsyncGRPOConfig) if item.init}
    plain = type(args)(args.output_dir, use_cpu=args.use_cpu, bf16=args.bf16)
    lost = [
        f"{item.name} ({getattr(args, item.name)!r})"
        for item in dataclasses.fields(args)
        if item.init
        and item.name not in known | UNIMPORTANT
        and getattr(args, item.name) not in (None, getattr(plain, item.name))
    ]
    if lost:
        raise ValueError(
            f"the asynchronous trainer has no {', '.join(lost)}; leave it out, or use the synchronous one"
        )
    shared = {item.name for item in dataclasses.fields(args) if item.init} & known
    settings = {name: getattr(args, name) for name in shared if name not in OWN_DEFAULTS}
    settings["report_to"] = args.report_to or "none"
    if args.max_steps > 0:  # else its end is not known, and the asynchronous trainer keeps the rate constant
        settings["lr_scheduler_type"] = args.lr_scheduler_type
    own_url = f"http://{args.vllm_server_host}:{args.vllm_server_port}"
    settings["vllm_server_base_url"] = args.vllm_server_base_url or own_url
    return AsyncGRPOConfig(**{**settings, **more})
