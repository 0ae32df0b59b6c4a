"""Rows of the update dealt by length (Zeppelin's question, at GRPO's place): less padding, less waiting.

TRL pads a generation to its longest completion and shuffles it into micro-batches. Here a micro-batch loses
the columns that only pad it, and within an optimizer step rows of like length come together: the rows of all
processes, the longest first, fill micro-batches, and these go to the processes the longest first to the
lightest. An optimizer step has the same rows as before, and so the same loss but for rounding. Where the loss
is a mean within each micro-batch, the rows stay where they are.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from rlkit.hosts.trl.dealing import dealt_rows
from rlkit.hosts.trl.hidden_states import base_model

Part = dict[str, Any]
"""A micro-batch: tensors by name, of which those with a row each are (B,) or (B, T)."""
PROMPT = ("prompt_ids", "prompt_mask")
PICTURES = {"num_images", "pixel_values", "token_type_ids", "mm_token_type_ids"}
"""Columns whose rows are pictures, or whose tokens those of prompt and completion: such a generation stays as
it is."""


class LengthBalance:
    """Of one trainer; `on` is the setting `balance_lengths`."""

    def __init__(self, trainer: Any, on: bool):
        self.trainer, self.on = trainer, on

    def __call__(self, prepare: Callable[[Any], Part], inputs: Any) -> Part:
        """The next micro-batch of `prepare`, TRL's own; a new generation is dealt before."""
        trainer = self.trainer
        before, training = trainer._buffered_inputs, trainer.model.training
        part = prepare(inputs)
        if not (self.on and training) or trainer._buffered_inputs is before or part.keys() & PICTURES:
            return part
        parts = trainer._buffered_inputs
        if _is_rotary(trainer):
            if self._may_deal():
                parts = self._dealt(parts)
            parts = [without_left_padding(part, trainer.pad_to_multiple_of or 1) for part in parts]
        parts = [without_right_padding(part, trainer.pad_to_multiple_of or 1) for part in parts]
        trainer._buffered_inputs = parts
        return parts[trainer._step % len(parts)]

    def _may_deal(self) -> bool:
        """Whether no part of the loss depends on which rows share a micro-batch."""
        trainer = self.trainer
        return not (
            trainer.loss_type == "bnpo"
            or trainer._entropy_bonus_enabled
            or trainer.top_entropy_quantile < 1
            or trainer.aux_loss_enabled
        )

    def _dealt(self, parts: list[Part]) -> list[Part]:
        """The micro-batches of a generation; the rows of each optimizer step stay together."""
        trainer, accelerator = self.trainer, self.trainer.accelerator
        world, rank = accelerator.num_processes, accelerator.process_index
        # Micro-batches that surely belong to one optimizer step, also where steps end amid generations.
        span = math.gcd(len(parts), trainer.args.gradient_accumulation_steps)
        if span == 1:  # one turn, in which all wait for the longest row wherever it is
            return parts
        prompt_R, completion_R = self._everywhere(
            _used(parts, "prompt_mask"), _used(parts, "completion_mask")
        )
        # (processes, optimizer steps, micro-batches of one, rows of one)
        as_is = np.arange(len(prompt_R)).reshape(world, len(parts) // span, span, -1)
        row_WSPB = as_is.copy()
        for step in range(len(parts) // span):
            row_R = row_WSPB[:, step].ravel()
            lengths = prompt_R[row_R], completion_R[row_R]
            row_WSPB[:, step] = row_R[dealt_rows(*lengths, world, span)]
        if (row_WSPB == as_is).all():
            return parts
        mine_PB = torch.from_numpy(row_WSPB[rank].reshape(len(parts), -1))
        moved = {name: self._gathered(name, parts) for name in parts[0] if _has_rows(parts[0][name])}
        return [
            {**part, **{name: rows[mine_B.to(rows.device)] for name, rows in moved.items()}}
            for part, mine_B in zip(parts, mine_PB, strict=True)
        ]

    def _everywhere(self, *length_r: torch.Tensor) -> list[np.ndarray]:
        return [self.trainer.accelerator.gather(length).cpu().numpy() for length in length_r]

    def _gathered(self, name: str, parts: list[Part]) -> torch.Tensor:
        """A column of all processes' rows, padded to the widest."""
        accelerator = self.trainer.accelerator
        rows = torch.cat([part[name] for part in parts])
        if rows.ndim == 2 and accelerator.num_processes > 1:
            width = int(accelerator.gather(torch.tensor([rows.shape[1]], device=rows.device)).max())
            missing = width - rows.shape[1]
            fill = self.trainer._tokenizer.pad_token_id if name.endswith("_ids") else 0
            sides = (missing, 0) if name in PROMPT else (0, missing)
            rows = torch.nn.functional.pad(rows, sides, "constant", fill)
        return accelerator.gather(rows)


def without_right_padding(part: Part, multiple: int = 1) -> Part:
    """The micro-batch without the last columns in which all completions are padding."""
    width = part["completion_mask"].shape[1]
    keep = _rounded(int(_used([part], "completion_mask").max()), multiple)
    return {
        name: value[:, :keep]
        if name not in PROMPT and _has_rows(value) and value.ndim == 2 and value.shape[1] == width
        else value
        for name, value in part.items()
    }


def without_left_padding(part: Part, multiple: int = 1) -> Part:
    """The micro-batch without the first columns in which all prompts are padding."""
    keep = _rounded(int(_used([part], "prompt_mask").max()), multiple)
    return {**part, **{name: part[name][:, -keep:] for name in PROMPT}}


def _rounded(length: int, multiple: int) -> int:
    """Up to a multiple, and at least one column."""
    return max(math.ceil(length / multiple), 1) * multiple


def _used(parts: list[Part], mask: str) -> torch.Tensor:
    """How many columns each row needs, (R,): to its last token that counts; of prompts from the first on."""
    mask_RT = torch.cat([part[mask] for part in parts]) != 0
    mask_RT = mask_RT.flip(1) if mask in PROMPT else mask_RT
    place_T = torch.arange(1, mask_RT.shape[1] + 1, device=mask_RT.device)
    return (mask_RT * place_T).amax(dim=1)


def _has_rows(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 0


def _is_rotary(trainer: Any) -> bool:
    """Whether a row's tokens score the same wherever it begins, up to rounding."""
    return bool(getattr(base_model(trainer).config.get_text_config(), "rope_parameters", None))
