r"""1.0 where the completion's final answer is mathematically the gold answer, by math-verify.

The functions differ in where a completion must state its answer: `accuracy` takes the content of the last
`\boxed{}`, with those that its sentence joins to it, else what follows `####`, else what "the answer is",
else the last formula or number; the others take one of these and nothing else, for data whose prompts ask
for it.

The gold may be bare ("1/2", "1,000") or a solution that ends in one ("... #### 1,000" as in GSM8K,
"... \boxed{1000}"), or a list of golds, of which any counts. An answer of several parts is one gold:
"3, 5" is right in any order, "(3, 5)" in this one. None (unscorable) where no gold holds an answer. An answer
that takes SymPy more than a few seconds is wrong.
"""

from typing import Any

from rlkit.verify.answers import AnswerForm
from rlkit.verify.equivalence import same_answers
from rlkit.verify.text import Completion, completion_text


def accuracy(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    """Compare each completion with its row's `answer`: text, a number, or a list of these."""
    return _grade(completions, answer, "any")


def boxed_accuracy(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    r"""`accuracy` of the last `\boxed{}` only."""
    return _grade(completions, answer, "boxed")


def hash_accuracy(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    """`accuracy` of what follows the last `####` only."""
    return _grade(completions, answer, "hash")


def number_accuracy(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    """`accuracy` of the last number of the text only."""
    return _grade(completions, answer, "last_number")


def _grade(completions: list[Completion], answer: list[Any], form: AnswerForm) -> list[float | None]:
    texts = [completion_text(completion) for completion in completions]
    golds = [_golds(gold) for gold in answer]
    flat = same_answers(
        [gold for row in golds for gold in row],
        [text for text, row in zip(texts, golds, strict=True) for _ in row],
        form,
    )
    results = iter(flat)
    return [_any([next(results) for _ in row]) for row in golds]


def _golds(answer: Any) -> list[str]:
    """The golds of a row as text; none for None."""
    golds = answer if isinstance(answer, list | tuple) else [answer]
    return [str(gold) for gold in golds if gold is not None]


def _any(results: list[bool | None]) -> float | None:
    known = [result for result in results if result is not None]
    return float(any(known)) if known else None
