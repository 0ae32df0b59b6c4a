r"""Where a text states its answer: in `\boxed{}`, after `####`, as the last number, or wherever it does."""

import re
from typing import Literal

AnswerForm = Literal["any", "boxed", "hash", "last_number"]

MAX_ANSWER_CHARS = 400  # a longer final answer is none
MAX_TAIL_CHARS = 2000  # of a text without a box or a mark, this much of its end is searched

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
# A minus after a word, a digit or a bracket subtracts ("x-3"). Possessive, so that "32" is not found as "3".
_DIGITS = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?+|\.\d++"
_NUMBER = re.compile(rf"(?:(?<![\w.)])[-+\u2212]\$?|(?<![\d.]))(?:{_DIGITS})", re.ASCII)
# Formulas by pandoc's rule (tex_math_dollars), so that "$18 and $20" is money; or a number, perhaps a
# fraction or a percentage, that is not the left side of a sum or an equation.
_EXPRESSION = re.compile(
    r"\$\$(?P<display>[^$]{1,400}?)\$\$|\$(?P<dollars>(?!\s)[^$\n]{1,400}?)(?<![\s\\])\$(?!\d)"
    r"|\\\((?P<round>.{1,400}?)\\\)|\\\[(?P<square>.{1,400}?)\\\]"
    r"|(?P<fraction>-?\\[dt]?frac\{[^{}]{1,50}\}\{[^{}]{1,50}\})"
    rf"|(?P<number>{_NUMBER.pattern}(?:[eE][-+]?\d++)?+(?:/\d++)?+(?:\s?\\?%)?+)(?!\s*[-+*/^=]\s*[\d(])",
    re.ASCII | re.DOTALL,
)
_WORD_OR_LINE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}|\n")
_ANNOUNCED = re.compile(r"\banswers?\b[^.\n=:]{0,60}?(?:\bis\b|\bare\b|[:=])", re.IGNORECASE)


def find_answer(text: str, form: AnswerForm = "any") -> str | None:
    r"""The final answer that a text states; None if it states none.

    Args:
        text: a completion; of any length, as only a bounded part of it is looked at closely.
        form: "boxed": the content of the last `\boxed{}`. "hash": what follows the last `####` on its line,
            as in GSM8K. "last_number": the last number, "1,234.5" or "-3". "any": the first of these that
            there is: a box, a `####`, all of a text without words, the expression after "answer is" or
            "answer:", the last formula or number.

    find_answer(r"\boxed{\frac{1}{2}}.") is r"\frac{1}{2}"; find_answer("2+2=4\n#### 4") is "4". A last box
    that is empty, not closed (a truncated text), or longer than MAX_ANSWER_CHARS is no answer, whatever
    stands before it.
    """
    if form == "boxed":
        return _in_last_box(text)
    if form == "hash":
        return _after_hash(text)
    if form == "last_number":
        numbers = _NUMBER.findall(text[-MAX_TAIL_CHARS:])
        return _stated(numbers[-1]) if numbers else None
    if "\\boxed" in text or "\\fbox" in text:
        return _in_last_box(text)
    if "####" in text:
        return _after_hash(text)
    bare = _stated(text) if len(text) <= 2 * MAX_ANSWER_CHARS else None
    return bare if bare and not _WORD_OR_LINE.search(bare) else _last_expression(text[-MAX_TAIL_CHARS:])


def find_gold(gold: str) -> str | None:
    r"""The answer in a gold: of its last box, after its last `####`, or all of it, for it may be bare.

    find_gold("48/2=24\n#### 24") is "24"; find_gold("3, 5") is "3, 5". None if there is none.
    """
    if "\\boxed" in gold or "\\fbox" in gold:
        return _in_last_box(gold)
    return _after_hash(gold) if "####" in gold else _stated(gold)


def closing_brace(text: str, start: int) -> int | None:
    r"""The position of the `}` closing the group whose content begins at `start`; `\{` and `\}` do not count.

    None if it is not closed within MAX_ANSWER_CHARS, so that a hostile text costs no more than an honest one.
    """
    depth = 1
    for match in _BRACE.finditer(text, start, start + MAX_ANSWER_CHARS + 1):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return None


def _in_last_box(text: str) -> str | None:
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    box = _BOX.match(text, start) if start >= 0 else None
    if box is None:
        return None
    end = closing_brace(text, box.end())
    return None if end is None else _stated(text[box.end() : end])


def _after_hash(text: str) -> str | None:
    start = text.rfind("####") + len("####")
    if start < len("####"):
        return None
    lines = text[start : start + 2 * MAX_ANSWER_CHARS].strip().splitlines()
    return _stated(lines[0]) if lines else None


def _last_expression(text: str) -> str | None:
    found, end = None, len(text)
    for announcement in reversed(list(_ANNOUNCED.finditer(text))):
        found = _EXPRESSION.search(text, announcement.end(), end)
        if found is not None:
            break
        end = announcement.start()
    else:
        for match in _EXPRESSION.finditer(text):
            found = match
    return None if found is None else _stated(found[found.lastgroup or 0])


def _stated(answer: str) -> str | None:
    answer = answer.strip()
    return answer if 0 < len(answer) <= MAX_ANSWER_CHARS else None
