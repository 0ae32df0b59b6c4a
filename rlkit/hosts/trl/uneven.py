"""Batches that TRL does not have: groups that differ in size, and groups that only keep the batch's shape."""

from typing import Any

import numpy as np
import torch
from trl.trainer.utils import nanstd

from rlkit.hosts.trl.given_back import Held
from rlkit.types import Batch

MEAN_OVER_ROWS = ("grpo", "sapo", "dr_grpo", "luspo")
"""Loss types that divide by the number of rows, padding included; the others divide by trained tokens."""


def advantages(trainer: Any, held: Held) -> torch.Tensor:
    """This process's advantages where groups differ in size: TRL's formula over each group's own rows."""
    rewards = (held.rewards * trainer.reward_weights.to(held.rewards.device)).nansum(dim=1)
    rewards[torch.isnan(held.rewards).all(dim=1)] = torch.nan
    groups = rewards.split(held.size_B.tolist())
    centred = torch.cat([group - group.nanmean() for group in groups])
    if trainer.scale_rewards != "none":
        spread = {"group": groups, "batch": [rewards]}[trainer.scale_rewards]
        std = torch.cat([nanstd(part).expand_as(part) for part in spread])
        centred = centred / (std + 1e-4)
    centred = torch.nan_to_num(centred, nan=0.0)
    return centred.chunk(trainer.accelerator.num_processes)[trainer.accelerator.process_index]


def without_padding(trainer: Any, output: dict[str, Any], batch: Batch, held: Held) -> dict[str, Any]:
    """Masks the groups that only keep the shape (fill policy "shrink"), so that they do not train.

    Their rewards are missing already (`held_rows`), so that they have no advantage and no part in a std.
    """
    if batch.weight_B.all():
        return output
    rows = len(output["advantages"])
    weights = torch.from_numpy(np.repeat(batch.weight_B, held.size_B).astype(np.float32))
    local = weights[trainer.accelerator.process_index * rows :][:rows].to(output["advantages"])
    output["completion_mask"] = output["completion_mask"] * local[:, None].to(output["completion_mask"])
    if trainer.loss_type in MEAN_OVER_ROWS:
        output["row_scale"] = (len(weights) / weights.sum().clamp(min=1)).to(output["advantages"])
        output["advantages"] = output["advantages"] * output["row_scale"]
    mask = output["completion_mask"] * output.get("tool_mask", 1)
    output["num_items_in_batch"] = trainer.accelerator.gather(mask.sum()).sum()
    return output
