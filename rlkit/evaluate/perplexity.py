"""How likely a model finds completions: exp of the mean negative log-likelihood of their tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def perplexities(model: str, rows: Sequence[Mapping[str, Any]], batch_size: int = 16) -> np.ndarray:
    """The perplexity (N,) of each row's `completion` after its `prompt`, texts or messages, its end included.

    Raises:
        ValueError: a row lacks one of both.
    """
    import torch
    import torch.nn.functional as F
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for position, row in enumerate(rows):
        if row.get("prompt") is None or row.get("completion") is None:
            raise ValueError(f"row {position} must have prompt and completion; it has {sorted(row)}")
    tokenizer = AutoTokenizer.from_pretrained(model)
    device: Any = torch.accelerator.current_accelerator() or "cpu"
    policy = AutoModelForCausalLM.from_pretrained(model, device_map=device).eval()
    values = []
    for start in range(0, len(rows), batch_size):
        pairs = [_ids(tokenizer, row) for row in rows[start : start + batch_size]]
        longest = max(len(ids) for ids, _ in pairs)
        pad = tokenizer.pad_token_id or 0
        ids_BT = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in pairs], device=policy.device)
        is_text_BT = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in pairs])
        counts_BT = torch.tensor(
            [[start <= position < len(ids) for position in range(longest)] for ids, start in pairs]
        )[:, 1:].to(policy.device)
        with torch.no_grad():
            logits_BTV = policy(ids_BT, attention_mask=is_text_BT.to(policy.device)).logits[:, :-1].float()
        nll_BT = F.cross_entropy(logits_BTV.transpose(1, 2), ids_BT[:, 1:], reduction="none")
        values += ((nll_BT * counts_BT).sum(1) / counts_BT.sum(1).clamp(min=1)).exp().tolist()
    return np.array(values)


def _ids(tokenizer: Any, row: Mapping[str, Any]) -> tuple[list[int], int]:
    """The tokens of prompt and completion, and how many of them are the prompt's."""
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, str):
        first = tokenizer(prompt)["input_ids"]
        text = tokenizer(completion, add_special_tokens=False)["input_ids"]
        return [*first, *text, tokenizer.eos_token_id], len(first)
    first = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    whole = tokenizer.apply_chat_template([*prompt, *completion], return_dict=True)["input_ids"]
    return whole, len(first)
