"""Makes rows for mid-training from a text: at a position, predict the next token (RMT, arXiv 2509.24375).

    python scripts/make_midtraining_rows.py --model MODEL --text corpus.jsonl --output rows.jsonl --rows 4000

The text is a .txt file, one document, or a .jsonl file with a `text` a row. A row has `prompt` (the text
before a position), `answer` (the next token's text), `reference` (the text from there on), `entropy` (of the
model's next token, nats) and `tier`: easy, medium or hard by thirds of the rows' entropies, ours, as the
paper's thresholds were not found. Positions are drawn at random, `PER_WINDOW` of a window; a token that is
white space or part of a character is passed over.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlkit.curriculum.estimators.tiers import TIERS
from rlkit.prompts.files import read_rows

PER_WINDOW = 4
"""Positions of a window: neighbours hardly differ."""
LEAST = 8
"""Tokens of a prompt at least."""


def documents(path: Path) -> list[str]:
    """Raises ValueError where the file cannot be read or a row has no text."""
    if path.suffix == ".txt":
        return [path.read_text(encoding="utf-8")]
    texts = [row.get("text") for row in read_rows(path)]
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{path}, row {position}: `text` must be text, got {type(text).__name__}")
    return texts  # type: ignore[return-value]


def windows(tokenizer: Any, texts: list[str], size: int) -> list[list[int]]:
    """Pieces of `size` tokens, one after the other; a document's rest is left out."""
    pieces = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        pieces += [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]
    return pieces


@torch.inference_mode()
def entropies(model: Any, ids: list[int]) -> np.ndarray:
    """Of the model's next token after each of the T tokens, (T,), nats."""
    logits = model(torch.tensor([ids], device=model.device)).logits[0].float()
    return torch.distributions.Categorical(logits=logits).entropy().cpu().numpy()


def rows_of(
    model: Any, tokenizer: Any, ids: list[int], context: int, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """`PER_WINDOW` rows of a window at most: prompts of `LEAST` to `context` tokens."""
    entropy_T = entropies(model, ids)
    length, num = len(ids) - context, 0
    for position in rng.permutation(np.arange(LEAST, context + 1)).tolist():
        parts = ids[:position], ids[position : position + 1], ids[position : position + length]
        prompt, answer, reference = (tokenizer.decode(part) for part in parts)
        if num < PER_WINDOW and answer.strip() and "\ufffd" not in prompt + answer + reference:
            num += 1
            yield {
                "prompt": prompt,
                "answer": answer,
                "reference": reference,
                "entropy": float(entropy_T[position - 1]),
            }


def make_rows(
    model: Any, tokenizer: Any, texts: list[str], num: int, context: int, length: int, seed: int
) -> list[dict[str, Any]]:
    """`num` rows, fewer where the text is short.

    Args:
        context: tokens of a prompt at most.
        length: tokens of a reference.
    """
    rng = np.random.default_rng(seed)
    pieces = windows(tokenizer, texts, context + length)
    rows: list[dict[str, Any]] = []
    for piece in rng.permutation(len(pieces)).tolist():
        rows += rows_of(model, tokenizer, pieces[piece], context, rng)
        if len(rows) >= num:
            break
    rows = rows[:num]
    if not rows:
        raise ValueError(f"the text has no window of {context + length} tokens (--context + --length)")
    bounds = np.quantile([row["entropy"] for row in rows], [1 / 3, 2 / 3])
    return [{**row, "tier": TIERS[np.searchsorted(bounds, row["entropy"])]} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="A folder, or an id on the Hub.")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--context", type=int, default=256, help="Tokens of a prompt at most.")
    parser.add_argument("--length", type=int, default=64, help="Tokens of a reference.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.context < LEAST or options.length < 2 or options.rows < 1:
        parser.error(f"--context must be at least {LEAST}, --length 2, --rows 1")
    try:
        texts = documents(options.text)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(options.model, device_map=device).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    try:
        rows = make_rows(model, tokenizer, texts, options.rows, options.context, options.length, options.seed)
    except ValueError as error:
        parser.error(str(error))
    options.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} rows in {options.output}")


if __name__ == "__main__":
    main()
