r"""1.0 where the completion's final answer is mathematically the gold answer, by math-verify.

The final answer is the content of the last `\boxed{}`, else what follows `####`, else the last expression of
the text. The gold may be bare ("1/2", "1,000") or a solution that ends in one ("... #### 1,000" as in GSM8K,
"... \boxed{1000}"). None (unscorable) where the gold holds no answer. An answer that takes SymPy more than a
few seconds is wrong.
"""

from typing import Any

from rlkit.verify.equivalence import same_answer
from rlkit.verify.text import Completion, completion_text


def math_answer(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    """Compare each completion with its row's `answer`; the gold may be a number instead of text."""
    results = [
        None if gold is None else same_answer(str(gold), completion_text(completion))
        for completion, gold in zip(completions, answer, strict=True)
    ]
    return [None if same is None else float(same) for same in results]
