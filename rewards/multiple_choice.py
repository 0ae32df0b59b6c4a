r"""1.0 where the completion chooses the gold's letter, A to J; 0.0 where it chooses none, or several.

The choice is, in this order: what the last `<answer>` tags or `\boxed{}` hold; the letter after the last
"answer", "option" or "choice"; the last letter that stands alone, as in "(B)". Capitals only; "A" and "I"
before a word are words. "A or B" is several.

The row's `answer` is a letter, a position from 0, or the text of one of its `choices` (a list, or ARC's and
CommonsenseQA's `{"text": [...], "label": [...]}`). With `choices`, a marked answer may be a choice's text as
well. None (unscorable) where the gold is none of these.
"""

import re
from typing import Any

from rlkit.verify.stated import marked_answer
from rlkit.verify.text import Completion, completion_text

LETTERS = "ABCDEFGHIJ"
MAX_TAIL_CHARS = 2000  # without a marked answer, this much of the end is searched

# A letter alone; "A" and "I" not where they begin a phrase ("A man", "I think", but "A is right", "A or B").
_LETTER = r"(?<![\w'\\])(?:[B-HJ]|[AI](?!\s+(?!(?:or|and|is)\b)[a-z]))(?![\w'])"
_OPENING, _CLOSING = r"[\s*_\"'(\[{$]{0,8}", r"[\s*_\"')\]}$]{0,8}"
_RUN = rf"{_LETTER}(?:{_CLOSING}(?:,|/|&|\bor\b|\band\b){_OPENING}{_LETTER})*"
_LETTERS = re.compile(_RUN)
_ANNOUNCED = re.compile(rf"\b(?i:answer|option|choice)\b(?:\s+is)?\s*[:=]?{_OPENING}({_RUN})")
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_LABELLED = re.compile(r"\(?([A-J])(?:\)|[.:]|\)[.:])?(?:\s.*)?", re.DOTALL)


def chosen_letter(text: str, choices: list[str] | None = None) -> str | None:
    r"""chosen_letter(r"so \boxed{\text{(B)}}") and chosen_letter("Answer: B.") are "B"."""
    marked = marked_answer(text)
    if marked is not None:
        return _read_marked(_WRAPPED.sub(r"\1", marked).strip(" \n*$."), choices)
    tail = text[-MAX_TAIL_CHARS:]
    runs = _ANNOUNCED.findall(tail) or _LETTERS.findall(tail)
    return _only_letter(runs[-1]) if runs else None


def gold_letter(answer: Any, choices: list[str] | None = None, labels: list[str] | None = None) -> str | None:
    """gold_letter(1), gold_letter("(B)") and gold_letter("blue", ["red", "blue"]) are "B"."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return LETTERS[answer] if 0 <= answer < len(choices or LETTERS) <= len(LETTERS) else None
    text = str(answer or "").strip()
    for known in (labels, choices):
        if known and text in known[: len(LETTERS)]:
            return LETTERS[known.index(text)]
    bare = text.strip("().: ")
    return bare if len(bare) == 1 and bare in LETTERS[: len(choices or LETTERS)] else None


def multiple_choice(
    completions: list[Completion], answer: list[Any], choices: list[Any] | None = None, **_: Any
) -> list[float | None]:
    """Compare each completion's letter with that of its row's `answer`."""
    rewards: list[float | None] = []
    for completion, gold, given in zip(
        completions, answer, choices or [None] * len(completions), strict=True
    ):
        texts = given["text"] if isinstance(given, dict) else given
        letter = gold_letter(gold, texts, given.get("label") if isinstance(given, dict) else None)
        text = completion_text(completion)
        rewards.append(None if letter is None else float(chosen_letter(text, texts) == letter))
    return rewards


def _read_marked(marked: str, choices: list[str] | None) -> str | None:
    same = [LETTERS[i] for i, text in enumerate((choices or [])[: len(LETTERS)]) if _same(text, marked)]
    if same:
        return same[0] if len(same) == 1 else None
    runs = _LETTERS.findall(marked[:MAX_TAIL_CHARS])
    labelled = _LABELLED.fullmatch(marked[:MAX_TAIL_CHARS])
    if labelled is None or not runs or _only_letter(runs[0]) is None:
        return None
    return labelled.group(1)


def _same(choice: str, marked: str) -> bool:
    return choice.strip().casefold() == marked.casefold()


def _only_letter(run: str) -> str | None:
    letters = set(re.findall(r"(?<![A-Za-z])[A-J](?![A-Za-z])", run))
    return letters.pop() if len(letters) == 1 else None
