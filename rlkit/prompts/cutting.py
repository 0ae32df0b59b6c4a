"""Where a written solution can be cut in two: after a sentence or a line, or a step where it has them.

No cut falls inside of a formula, of braces, of a number or of a LaTeX command. Blanks between two sentences
go to the second and line breaks to the first, as most tokenizers join them (" Then" and ".\\n" are tokens).
"""

import re
from itertools import accumulate

import numpy as np

MOST_CUTS = 16
"""Of a solution; of more, as many are taken at equal distances (ours): each is graded once."""

_LINE = re.compile(r"[ \t]*\n+")
_SENTENCE = re.compile(r"[.!?][\"')\]]*(?=[ \t]+\S)")
_MARKER = re.compile(r"(?:^|\n)[ \t]*(?:\d+|[a-zA-Z])[.)]$")
"""A text that ends in the number of a step or of a list's item."""
_SHORT = re.compile(r"\b(?:e\.g|i\.e|cf|vs|etc|resp|approx|eq|fig|no|dr|mr|mrs|ms|st)\.$", re.IGNORECASE)
_WHOLE = re.compile(
    r"\$\$.*?\$\$|\$[^$\n]+\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL
)
"""Formulas and LaTeX environments."""


def cuts_of(text: str) -> np.ndarray:
    """Lengths of the beginnings that can be revealed, (K,) ascending, in characters; none reveals all.

    cuts_of("It is 2.5. So x=5.\\nDone") -> [10, 19]
    """
    closed = _closed_at(text)
    lines = [match.end() for match in _LINE.finditer(text)]
    sentences = [match.end() for match in _SENTENCE.finditer(text) if _ends(text[: match.end()])]
    last = len(text.rstrip())
    ends = sorted(end for end in {*lines, *sentences} if end < last and closed[end] and text[:end].strip())
    return _at_most(ends)


def cuts_between(steps: list[str]) -> np.ndarray:
    """The same of a solution that is written in steps, which are joined as they are.

    cuts_between(["4+5=9", "\\n9*2", "=18"]) -> [5, 9]
    """
    *ends, last = accumulate(map(len, steps), initial=0)
    return _at_most(sorted({end for end in ends if 0 < end < last}))  # an empty step has no end of its own


def _at_most(ends: list[int]) -> np.ndarray:
    if len(ends) > MOST_CUTS:
        ends = [ends[place] for place in np.linspace(0, len(ends) - 1, MOST_CUTS).round().astype(int)]
    return np.array(ends, dtype=np.int64)


def _ends(text: str) -> bool:
    """Whether its last full stop ends a sentence."""
    return not (_MARKER.search(text) or _SHORT.search(text))


def _closed_at(text: str) -> np.ndarray:
    """For each position of the text, (characters + 1,), whether no formula and no brace is open there."""
    opening = np.array([(char == "{") - (char == "}") for char in text], dtype=np.int64)
    closed = np.concatenate([[0], np.cumsum(opening)]) <= 0
    for match in _WHOLE.finditer(text):
        closed[match.start() + 1 : match.end()] = False
    return closed
