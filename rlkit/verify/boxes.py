r"""The answer in the last `\boxed{}` of a text, or in the last boxes, where a sentence joins them.

`x = \boxed{3} or x = \boxed{-1}` is one answer, "x = 3, x = -1": boxes count together where between them
stand only commas, "and", "or", `\quad`, a unit, and a name with its `=`. All else ends the list, so that a
box from earlier in the reasoning has no part in it. A list with one line a box is left out: only the last.
"""

import re
from dataclasses import dataclass

from rlkit.verify.parts import JOINER, NAME, SPACE

MAX_ANSWER_CHARS = 400  # a longer final answer is none
MAX_JOINER_CHARS = 100

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_UNIT = r"(?:\^\s*\{?\\circ\}?|\\?%|\\(?:text|mathrm|mbox)\{[^{}]{0,30}\}(?:\^\{?\d\}?)?)"
_BETWEEN = re.compile(rf"{SPACE}*(?:{_UNIT})?{JOINER}(?:{NAME}\s*&?=)?{SPACE}*")
_NAME_BEFORE = re.compile(rf"(?<![^\s$(\[,;:&~])({NAME})\s*&?=[\s&$]*$")


@dataclass(frozen=True)
class _Box:
    start: int
    end: int  # behind its brace
    content: str
    name: str | None  # in "x = \boxed{3}"


def in_last_boxes(text: str) -> str | None:
    r"""The content of the last box; with those joined to it, "3, -1", named where each of them is.

    None where there is no box, or the last one is empty, not closed or too long, or all together are.
    """
    last = _box_at(text, max(text.rfind("\\boxed"), text.rfind("\\fbox")))
    if last is None:
        return None
    boxes, num_chars = [last], len(last.content)
    while num_chars <= MAX_ANSWER_CHARS and (before := _joined_before(text, boxes[-1])):
        boxes.append(before)
        num_chars += len(before.content)
    if len(boxes) == 1:
        return last.content
    named = all(box.name for box in boxes)
    answer = ", ".join(f"{box.name} = {box.content}" if named else box.content for box in reversed(boxes))
    return answer if len(answer) <= MAX_ANSWER_CHARS else None


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


def _box_at(text: str, start: int) -> _Box | None:
    box = _BOX.match(text, start) if start >= 0 else None
    end = closing_brace(text, box.end()) if box else None
    content = text[box.end() : end].strip() if box and end is not None else ""
    if end is None or not content:
        return None
    name = _NAME_BEFORE.search(text[max(0, start - 40) : start])
    return _Box(start, end + 1, content, name[1] if name else None)


def _joined_before(text: str, box: _Box) -> _Box | None:
    """The box before this one, if only a joiner is between them."""
    earliest = max(0, box.start - MAX_ANSWER_CHARS - MAX_JOINER_CHARS)
    start = max(text.rfind("\\boxed", earliest, box.start), text.rfind("\\fbox", earliest, box.start))
    before = _box_at(text, start)
    if before is None or not before.end <= box.start <= before.end + MAX_JOINER_CHARS:
        return None
    return before if _BETWEEN.fullmatch(text, before.end, box.start) else None
