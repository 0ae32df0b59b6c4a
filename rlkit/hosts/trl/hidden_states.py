"""The policy's last hidden state at the end of each prompt, which value models look at."""

from typing import Any

import numpy as np
import torch
from peft import PeftModel


def base_model(trainer: Any) -> Any:
    """The causal language model itself, within what shards it and beneath its adapters."""
    unwrapped = trainer.accelerator.unwrap_model(trainer.model)
    return unwrapped.get_base_model() if isinstance(unwrapped, PeftModel) else unwrapped


@torch.no_grad()
def last_hidden_states(trainer: Any, prompt_ids: list[list[int]]) -> torch.Tensor:
    """A hook takes the decoder's output, since a sharded model can be entered at its root only."""
    model = trainer.model
    decoder, device = base_model(trainer).get_decoder(), trainer.accelerator.device
    sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    chunk = 4 * trainer.args.per_device_train_batch_size
    states = []
    hook = decoder.register_forward_hook(
        lambda _, inputs, output: states.append(output.last_hidden_state[:, -1].float())
    )
    model.eval()
    try:
        for start in range(0, len(prompt_ids), chunk):
            tokens, mask = _left_padded(prompt_ids[start : start + chunk], trainer._tokenizer.pad_token_id)
            inputs = {"input_ids": tokens.to(device), "attention_mask": mask.to(device), "use_cache": False}
            with trainer.accelerator.autocast():
                if sharded:  # entered as TRL does, with no token to score
                    model(**inputs, labels=torch.full_like(inputs["input_ids"], -100), fused_lm_head=True)
                else:
                    decoder(**inputs)
    finally:
        model.train()
        hook.remove()
    return torch.cat(states)


def _left_padded(prompt_ids: list[list[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask, (N, T) each. TRL's `pad` wants a tensor a prompt, which costs more than this."""
    width = max(map(len, prompt_ids))
    tokens_NT = np.full((len(prompt_ids), width), padding)
    mask_NT = np.zeros_like(tokens_NT)
    for row, ids in enumerate(prompt_ids):
        tokens_NT[row, width - len(ids) :] = ids
        mask_NT[row, width - len(ids) :] = 1
    return torch.from_numpy(tokens_NT), torch.from_numpy(mask_NT)
