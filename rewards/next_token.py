"""1.0 where a completion begins with the row's `answer`, the text's next token: mid-training as in RMT.

Tian et al., arXiv 2509.24375. What stands before the last </think> does not count, nor does white space
around what follows it; without one the completion goes on with the text, and white space is a part of it. The
rows are of scripts/make_midtraining_rows.py; beside it, rewards.length_budget:length_budget.
"""

from typing import Any

from rlkit.verify.text import Completion, completion_text

THOUGHT = "</think>"


def next_token(completions: list[Completion], answer: list[str], **_: Any) -> list[float | None]:
    """None (unscorable) where the answer is empty."""
    return [
        begins(completion_text(completion), str(gold)) if gold else None
        for completion, gold in zip(completions, answer, strict=True)
    ]


def begins(text: str, gold: str) -> float:
    """begins(" theory", " the") and begins("<think>a</think> the", " the") are 1.0."""
    _, thought, said = text.rpartition(THOUGHT)
    return float(said.strip().startswith(gold.strip()) if thought else said.startswith(gold))
