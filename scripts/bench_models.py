"""Models of random weights with a tokenizer and prompts, for benchmarks that need no download.

A prompt is a row of words, of which one says how likely a reward is; the reward is a coin that the completion
throws. So a curriculum has something to learn from a prompt's text while the policy stays what it is.
"""

import hashlib
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

SIZES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
    "13M": {"hidden_size": 320, "intermediate_size": 1280, "num_hidden_layers": 8, "num_attention_heads": 10},
    "0.5B": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
    },
    "1.5B": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
    },
}
"""Qwen2's shapes; the two large ones are those of Qwen2.5-0.5B and 1.5B."""
LARGE_VOCABULARY = 151_936
PROMPT_WORDS = 64
NUM_LEVELS = 20


def save_model(size: str, folder: Path) -> Path:
    """A model of random weights and its tokenizer, as `from_pretrained` reads them."""
    num_words = LARGE_VOCABULARY if size.endswith("B") else 2000
    words = ["<pad>", "<eos>", *(f"level{i}" for i in range(NUM_LEVELS))]
    words += [f"w{i}" for i in range(num_words - len(words))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    core.pre_tokenizer, core.decoder = pre_tokenizers.WhitespaceSplit(), decoders.WordPiece(prefix="")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(words),
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **SIZES[size],
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2ForCausalLM(config)
    model.to(torch.bfloat16 if torch.cuda.is_available() else torch.float32).save_pretrained(folder)
    return folder


def make_prompts(num: int, seed: int = 0) -> list[dict]:
    """Rows with `prompt` and `pass_rate`; a third of the prompts lies between 0.25 and 0.75."""
    rng = random.Random(seed)
    rates = [0.0] * 6 + [0.05, 0.1, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7, 0.9, 0.95] + [1.0] * 4
    rows = []
    for _ in range(num):
        level = rng.randrange(NUM_LEVELS)
        words = [f"w{rng.randrange(1900)}" for _ in range(PROMPT_WORDS - 1)]
        rows.append({"prompt": " ".join([*words, f"level{level}"]), "pass_rate": rates[level]})
    return rows


def coin(completions: list[str], pass_rate: list[float], **_) -> list[float]:
    """1 with the prompt's chance: a hash of the completion is the coin."""
    thrown = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32 for text in completions]
    return [float(value < rate) for value, rate in zip(thrown, pass_rate, strict=True)]
