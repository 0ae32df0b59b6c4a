"""Hashed words of a prompt's text: features without a model, a download or a vocabulary.

Unigrams and bigrams of words, numbers and symbols fall into `WIDTH` buckets by a stable hash with a sign
(Weinberger et al., arXiv 0902.2206), damped by a square root and scaled to unit length.
"""

import re
import zlib
from itertools import pairwise

import numpy as np

from rlkit.pool import PromptPool

WIDTH = 1024
_TOKEN = re.compile(r"\\?[A-Za-z]+|\d|[^\sA-Za-z\d]")


def text_features(pool: PromptPool, index_N: np.ndarray) -> np.ndarray:
    """(N, WIDTH) float32 features of the pool's prompts."""
    features = np.zeros((len(index_N), WIDTH), dtype=np.float32)
    for features_row, row in zip(features, pool.take(index_N), strict=True):
        tokens = _TOKEN.findall(prompt_text(row["prompt"]).lower())
        for token in (*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))):
            code = zlib.crc32(token.encode())
            features_row[code % WIDTH] += 1.0 if code & 0x80000000 else -1.0
    features = np.sign(features) * np.sqrt(np.abs(features))
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)


def prompt_text(prompt: str | list[dict]) -> str:
    """The text of a prompt, or of its messages joined by newlines.

    [{"role": "user", "content": "2+2?"}] -> "2+2?"
    """
    if isinstance(prompt, str):
        return prompt
    parts: list[str] = []
    for message in prompt:
        content = message["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        parts.extend(block["text"] for block in blocks if block.get("text"))
    return "\n".join(parts)
