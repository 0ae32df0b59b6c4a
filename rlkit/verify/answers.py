r"""Where a text states its answer: in `\boxed{}`, after `####`, as the last number, or wherever it does."""

import re
from typing import Literal

from rlkit.verify.boxes import MAX_ANSWER_CHARS, in_last_boxes
from rlkit.verify.expressions import NUMBER, last_expression

AnswerForm = Literal["any", "boxed", "hash", "last_number"]

MAX_TAIL_CHARS = 2000  # of a text without a box or a mark, this much of its end is searched

_WORD_OR_LINE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}|\n")


def find_answer(text: str, form: AnswerForm = "any") -> str | None:
    r"""The final answer that a text states; None if it states none.

    Args:
        text: a completion; of any length, as only a bounded part of it is looked at closely.
        form: "boxed": the content of the last `\boxed{}`, with those joined to it (boxes.py). "hash": what
            follows the last `####` on its line, as in GSM8K. "last_number": the last number, "1,234.5" or
            "-3". "any": the first of these that there is: a box, a `####`, all of a text without words, what
            follows "answer is" or "answer:", the last formula or number (expressions.py).

    find_answer(r"\boxed{\frac{1}{2}}.") is r"\frac{1}{2}"; find_answer("2+2=4\n#### 4") is "4". A last box
    that is empty, not closed (a truncated text), or longer than MAX_ANSWER_CHARS is no answer, whatever
    stands before it.
    """
    if form == "boxed":
        return in_last_boxes(text)
    if form == "hash":
        return _after_hash(text)
    if form == "last_number":
        numbers = NUMBER.findall(text[-MAX_TAIL_CHARS:])
        return _stated(numbers[-1]) if numbers else None
    if "\\boxed" in text or "\\fbox" in text:
        return in_last_boxes(text)
    if "####" in text:
        return _after_hash(text)
    bare = _stated(text) if len(text) <= 2 * MAX_ANSWER_CHARS else None
    return bare if bare and not _WORD_OR_LINE.search(bare) else last_expression(text[-MAX_TAIL_CHARS:])


def find_gold(gold: str) -> str | None:
    r"""The answer in a gold: of its last box, after its last `####`, or all of it, for it may be bare.

    find_gold("48/2=24\n#### 24") is "24"; find_gold("3, 5") is "3, 5". None if there is none.
    """
    if "\\boxed" in gold or "\\fbox" in gold:
        return in_last_boxes(gold)
    return _after_hash(gold) if "####" in gold else _stated(gold)


def _after_hash(text: str) -> str | None:
    start = text.rfind("####") + len("####")
    if start < len("####"):
        return None
    lines = text[start : start + 2 * MAX_ANSWER_CHARS].strip().splitlines()
    return _stated(lines[0]) if lines else None


def _stated(answer: str) -> str | None:
    answer = answer.strip()
    return answer if 0 < len(answer) <= MAX_ANSWER_CHARS else None
