"""The base of a LoRA model stays what it is on the disk, although TRL merges the adapter into it for vLLM.

At each synchronization TRL merges, sends, and takes the adapter out again, which rounds: in bfloat16 the base
drifts by 40% of the adapter's size in 300 steps (LOG.md), and the saved adapter belongs to a base that no
file holds. So the weights are copied before the first synchronization and put back, bit for bit, after each.
"""

from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def keep_base(trainer: Any) -> None:
    """Puts a LoRA model's base back after each of the trainer's synchronizations with vLLM.

    The copy lies in the processor's memory, as large as the layers that have an adapter.

    Raises:
        ValueError: the base is in half precision and sharded by FSDP, so that it cannot be put back.
    """
    if not isinstance(trainer.model, PeftModel):
        return
    if trainer.is_fsdp_enabled:
        _check_sharded(trainer.model)
        return
    engine = trainer.vllm_generation
    synchronize, kept = engine.sync_weights, []

    def sync_and_put_back() -> None:
        if not kept:
            kept.extend((weight, weight.to("cpu", copy=True)) for weight in merged_into(trainer.model))
        synchronize()
        for weight, value in kept:
            weight.copy_(value)

    engine.sync_weights = torch.no_grad()(sync_and_put_back)


def merged_into(model: nn.Module) -> Iterator[torch.Tensor]:
    """The weights that merging changes."""
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            for weight in layer.get_base_layer().parameters():
                if weight.is_floating_point() and not weight.requires_grad:
                    yield weight.detach()


def _check_sharded(model: nn.Module) -> None:
    kinds = {weight.dtype for weight in merged_into(model) if weight.dtype.itemsize < 4}
    if kinds:
        raise ValueError(
            f"use_peft with use_vllm and FSDP on a base in {', '.join(map(str, kinds))}: each "
            "synchronization rounds the base, which drifts away from what is saved; set dtype: float32 "
            "(with bf16: true it still computes in bfloat16), or train with ddp or ZeRO"
        )
