"""What one forward of the policy over prompts shows: hidden states of a layer, and log-likelihoods.

Hooks take the states, since a sharded model can be entered at its root only. Where nothing else is asked of a
model that lies whole on each process, the forward ends at the layer: a middle one costs half.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import nn

LAST = 1.0
"""The last layer's share of the depth."""


class _Reached(Exception):
    """The layer has been read."""


def last_hidden_states(trainer: Any, prompt_ids: list[list[int]]) -> torch.Tensor:
    """(N, H) float32: the last layer's, normed, at each prompt's last token."""
    return read_states(trainer, prompt_ids, LAST)[:, 0]


def base_model(trainer: Any) -> Any:
    """The causal language model itself, within what shards it and beneath its adapters."""
    unwrapped = trainer.accelerator.unwrap_model(trainer.model)
    return unwrapped.get_base_model() if isinstance(unwrapped, PeftModel) else unwrapped


@torch.no_grad()
def read_states(trainer: Any, prompt_ids: list[list[int]], layer: float) -> torch.Tensor:
    """(N, 2, H) float32: a layer's hidden state at the last token, and its mean over the prompt's."""
    # Prompts of like length stand together: the least padding.
    order = sorted(range(len(prompt_ids)), key=lambda row: len(prompt_ids[row]))
    found = []
    for tokens, mask in _chunks(trainer, [prompt_ids[row] for row in order]):
        ends = not _is_sharded(trainer)
        with _reading(trainer, layer, ends) as states, trainer.accelerator.autocast():
            inputs = {"input_ids": tokens, "attention_mask": mask, "use_cache": False}
            try:
                if ends:
                    _decoder(trainer)(**inputs)
                else:  # entered as TRL does, with no token to score
                    trainer.model(**inputs, labels=torch.full_like(tokens, -100), fused_lm_head=True)
            except _Reached:
                pass
        found.append(_pooled(states[0], mask, tokens.shape[1]))
    return torch.cat(found)[np.argsort(order)]


@torch.no_grad()
def read_likelihoods(
    trainer: Any, prompt_ids: list[list[int]], reference_ids: list[list[int]], layer: float | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-likelihoods of references after prompts; the prompts' states too where a layer is named.

    Returns:
        (N, 3) float32: the reference's sum, mean of its tokens and first token, NaN where it is empty.
        (N, 2, H), as of `read_states`, or None.
    """
    likelihoods, states = [], []
    size = 4 * trainer.args.per_device_train_batch_size
    both = [[*ids, *more] for ids, more in zip(prompt_ids, reference_ids, strict=True)]
    for number, (tokens, mask) in enumerate(_chunks(trainer, both)):
        rows = slice(number * size, number * size + size)
        length_N = torch.tensor([len(ids) for ids in reference_ids[rows]], device=tokens.device)
        with _reading(trainer, layer) as taken:
            logps_NT = trainer._get_per_token_logps_and_entropies(
                trainer.model, tokens, mask, max(int(length_N.max()), 1), batch_size=len(tokens)
            )[0].float()
        likelihoods.append(_summed(logps_NT, length_N))
        if taken:
            of_prompt_NT = mask * (_from_end(tokens) > length_N[:, None])
            states.append(_pooled(taken[0], of_prompt_NT, tokens.shape[1] - length_N))
    return torch.cat(likelihoods), torch.cat(states) if states else None


def _from_end(of_NT: torch.Tensor) -> torch.Tensor:
    """(T,) 1 for the last column, 2 for the one before."""
    return of_NT.shape[1] - torch.arange(of_NT.shape[1], device=of_NT.device)


def _summed(logps_NT: torch.Tensor, length_N: torch.Tensor) -> torch.Tensor:
    from_end_T, is_empty_N = _from_end(logps_NT), length_N == 0
    logps_NT = logps_NT.masked_fill(from_end_T > length_N[:, None], 0.0)
    sum_N = logps_NT.sum(dim=1).masked_fill(is_empty_N, torch.nan)
    first_N = (logps_NT * (from_end_T == length_N[:, None])).sum(dim=1).masked_fill(is_empty_N, torch.nan)
    return torch.stack([sum_N, sum_N / length_N, first_N], dim=1)


def _pooled(state_NTH: torch.Tensor, mask_NT: torch.Tensor, end_N: torch.Tensor | int) -> torch.Tensor:
    """The state before each row's end, and the mean over the tokens of the mask."""
    state_NTH = state_NTH.float()
    last_N = torch.as_tensor(end_N, device=state_NTH.device).expand(len(state_NTH)) - 1
    last_NH = state_NTH[torch.arange(len(state_NTH), device=state_NTH.device), last_N]
    weight_NT1 = (mask_NT / mask_NT.sum(dim=1, keepdim=True))[..., None]
    return torch.stack(
        [last_NH, (state_NTH.masked_fill(weight_NT1 == 0, 0.0) * weight_NT1).sum(dim=1)], dim=1
    )


@contextmanager
def _reading(trainer: Any, layer: float | None, ends: bool = False) -> Iterator[list[torch.Tensor]]:
    """The states (N, T, H) that come by; none where no layer is named. The model is in evaluation mode."""
    taken: list[torch.Tensor] = []

    def take(module: nn.Module, inputs: Any, output: Any) -> None:
        state = output if isinstance(output, torch.Tensor) else output[0]
        taken.append(state)
        if ends:
            raise _Reached

    trainer.model.eval()
    with ExitStack() as stack:
        stack.callback(trainer.model.train)
        if layer is not None:
            stack.enter_context(_module(_decoder(trainer), layer).register_forward_hook(take))
        yield taken


def _module(decoder: nn.Module, layer: float) -> nn.Module:
    """Whose output is that layer's state: one of the decoder's layers, or itself, which norms the last's."""
    depth = decoder.config.get_text_config().num_hidden_layers  # type: ignore[union-attr,operator]
    number = max(round(layer * depth), 1)
    if number == depth:
        return decoder
    lists = (module for module in decoder.modules() if isinstance(module, nn.ModuleList))
    return next(layers for layers in lists if len(layers) == depth)[number - 1]


def _decoder(trainer: Any) -> nn.Module:
    return base_model(trainer).get_decoder()


def _is_sharded(trainer: Any) -> bool:
    return trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled


def _chunks(trainer: Any, ids: list[list[int]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Tokens and mask of some rows at a time."""
    size, device = 4 * trainer.args.per_device_train_batch_size, trainer.accelerator.device
    for start in range(0, len(ids), size):
        tokens, mask = _left_padded(ids[start : start + size], trainer._tokenizer.pad_token_id)
        yield tokens.to(device), mask.to(device)


def _left_padded(prompt_ids: list[list[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask, (N, T) each. TRL's `pad` wants a tensor a prompt, which costs more than this."""
    width = max(map(len, prompt_ids))
    tokens_NT = np.full((len(prompt_ids), width), padding)
    mask_NT = np.zeros_like(tokens_NT)
    for row, ids in enumerate(prompt_ids):
        tokens_NT[row, width - len(ids) :] = ids
        mask_NT[row, width - len(ids) :] = 1
    return torch.from_numpy(tokens_NT), torch.from_numpy(mask_NT)
