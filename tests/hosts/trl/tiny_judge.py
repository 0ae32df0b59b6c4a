r"""A tiny policy that can judge: each \boxed{number} is one token, so that a random model writes some."""

from pathlib import Path
from typing import Any

import torch
from tiny_trl import make_model, make_tokenizer, make_trainer
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlkit import CurriculumConfig, CurriculumGRPOTrainer

BOXED = [rf"\boxed{{{number}}}" for number in ("0.00", "0.05", "0.10", "0.20", "0.25", "0.7")]
"""The last lies outside 0 to 0.25."""


def make_judging_tokenizer() -> PreTrainedTokenizerFast:
    """The tiny tokenizer with the boxed numbers as its last tokens."""
    fast = make_tokenizer()
    plain: Tokenizer = fast.backend_tokenizer
    vocab = {**fast.get_vocab(), **{text: len(fast) + place for place, text in enumerate(BOXED)}}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="+"))
    tokenizer.pre_tokenizer, tokenizer.decoder = plain.pre_tokenizer, plain.decoder
    judging = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=fast.eos_token, pad_token=fast.pad_token, padding_side="left"
    )
    judging.chat_template = fast.chat_template
    return judging


def make_judging_model(seed: int = 0) -> Qwen2ForCausalLM:
    settings = {
        **make_model().config.to_dict(),
        "vocab_size": 13 + len(BOXED),
        "max_position_embeddings": 2048,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(Qwen2Config.from_dict(settings))


def make_judging_trainer(
    output_dir: Path | str, rewards: Any = None, *, weight: float = 1.0, numbers: Any = None, **settings: Any
) -> CurriculumGRPOTrainer:
    """A trainer with `metis`; `numbers` are more settings of the curriculum."""
    numbers = {"judgement_length": 4, "judgement_weight": weight, **(numbers or {})}
    config = CurriculumConfig("metis", **numbers)
    extra = {"processing_class": make_judging_tokenizer(), **settings.pop("extra", {})}
    settings = {"model": make_judging_model(), **settings}
    return make_trainer(output_dir, config, rewards, extra=extra, **settings)
