"""A model that vLLM takes, and rewards for it; loads no vLLM."""

from pathlib import Path

import torch
from tiny_judge import make_judging_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

BLOCK = 32
"""Tokens of a block of vLLM's prefix cache."""


def save_model(path: Path, *, tied: bool = False) -> None:
    """vLLM takes only some head sizes, 32 the smallest, so the model is larger than in the other tests."""
    tokenizer = make_judging_tokenizer()
    tokenizer.save_pretrained(path)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)


def has_seven(completions, **_):
    """1.0 where there is a 7: one completion of the random model in seven, so that many groups agree."""
    return [float("7" in completion) for completion in completions]


def starts_with_seven(completions, **_):
    """One completion in nineteen: a batch takes all rounds that it may."""
    return [float(completion[:1] == "7") for completion in completions]


def even_length(completions, **_):
    return [float(len(completion) % 2 == 0) for completion in completions]
