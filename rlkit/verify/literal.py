r"""Answers compared as they are written: what needs no algebra, and what math-verify does not see.

math-verify takes milliseconds for a comparison and this takes microseconds; it also reads `4210_5` and
`4210_6` as one number, "east" as a product of four variables, and cannot read `1\,000`, "18 USD" or "5.".
"""

import re
from decimal import Decimal

from rlkit.verify.parts import rewrite_parts

TOLERANCE = Decimal("1e-5")  # math-verify rounds decimals to six places: what differs by more differs for it
_SYMBOLS = {
    "\u2212": "-",  # minus
    "\u2013": "-",  # en dash
    "\u00b0": r"^\circ ",  # degree
    "\u221e": r"\infty ",
    "\u03c0": r"\pi ",
    "\u2264": r"\le ",
    "\u2265": r"\ge ",
    "\u00d7": r"\times ",
    "\u22c5": r"\cdot ",
    "\u00b1": r"\pm ",
    "\u222a": r"\cup ",
    "\u00a0": " ",  # no-break space
    "\u202f": " ",  # narrow no-break space
    "\u2009": " ",  # thin space
    "\u20ac": "",  # euro
    "\u00a3": "",  # pound
    "~": " ",
    "\x00": "",
}
_TRANSLATION = str.maketrans(_SYMBOLS)
_REPLACEMENTS = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"\u221a\s*(\d+|[a-z]\b|\([^()]*\))", r"\\sqrt{\1}"),
        (r"(?<=\d),\\!\s*(?=\d{3}(?!\d))", ","),
        (r"(?<=\d)(?:\{,\}|\\[!,:; ]|\\thinspace(?![a-z]))\s*(?=\d{3}(?!\d))", ""),  # they group thousands
        (r"(\\\\)\[-?[\d.]+\s*(?:pt|ex|em|mm|cm)\]", r"\1"),  # space between the rows of a matrix
        (r"\\varnothing", r"\\emptyset"),
        (r"\\lbrace\b", r"\\{"),
        (r"\\rbrace\b", r"\\}"),
        (r"\\texttt\b", r"\\text"),
        (r"^(-?\d+) (\d+)/(\d+)$", r"\1\\frac{\2}{\3}"),
        (r"^\\\{\s*[a-z]\s*(?:\\mid|:|\|)\s*(.+)\\\}$", r"\1"),  # the set of all x with a relation
        (r"\s*\b(?:dollars?|USD|euros?)\b", ""),
        (r"^(-?[\d,.]+)e([-+]?\d{1,3})$", r"\1 \\times 10^{\2}"),
    )
)
_THIN_SPACE = re.compile(r"(?<=\d)[\u2009\u202f](?=\d{3}(?!\d))", re.ASCII)
_GROUPED = re.compile(r"[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?", re.ASCII)
_NUMBER = re.compile(r"([-+]?)(?:\\?\$)?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(\s*\\?%)?", re.ASCII)
_IN_BASE = re.compile(r"(-?[\dA-F]+)_(?:\{(\d+)\}|(\d+))", re.ASCII)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_SIZES = re.compile(r"\\(?:left|right)(?![A-Za-z])")
_IDLE_SPACE = re.compile(r"\s+(?!\w)|(?<!\w)\s+")
# A single shorter word may be a product of variables.
_WORDS = re.compile(r"[A-Za-z]{4,}|[A-Za-z]{2,}(?:[ -][A-Za-z]{2,})+")


def normalize(answer: str) -> str:
    r"""The answer with fewer ways to write it, for `same_as_written` and for math-verify.

    normalize("**$1{,}000$**.") is "1000"; normalize("2\u03c0") is r"2\pi". Only the spelling changes: of
    symbols, spaces between thousands, currencies, what surrounds the answer, and what joins its parts.
    """
    answer = _THIN_SPACE.sub("", answer).translate(_TRANSLATION)
    previous = None
    while answer != previous:
        previous = answer
        answer = answer.strip().strip("*").lstrip("= ").rstrip(".,;").strip()
        for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inner = answer[len(opening) : -len(closing)]
            if answer == opening + inner + closing and closing not in inner:
                answer = inner
    for pattern, replacement in _REPLACEMENTS:
        answer = pattern.sub(replacement, answer)
    answer = rewrite_parts(answer.strip())
    return answer.replace(" ", ",") if _GROUPED.fullmatch(answer) else answer


def same_as_written(gold: str, answer: str) -> bool | None:
    r"""Whether two normalized answers are the same, where that shows without algebra; else None.

    same_as_written("1,000", "1000.0") and same_as_written(r"\text{(C)}", "(C)") are True,
    same_as_written("1000", "1001") and same_as_written("52_8", "52_9") False, same_as_written("1/2", "0.5")
    None. A percent sign on one side only does not make equal numbers differ, as in math-verify.
    """
    if _plain(gold) == _plain(answer):
        return True
    numbers = _NUMBER.fullmatch(gold), _NUMBER.fullmatch(answer)
    if numbers[0] and numbers[1]:
        difference = abs(_decimal(numbers[0]) - _decimal(numbers[1]))
        if difference == 0:
            return True
        same_unit = (numbers[0][3] is None) == (numbers[1][3] is None)
        return False if same_unit and difference > TOLERANCE else None
    if gold.startswith("\\{") and answer.startswith(("(", "[")) and answer.endswith((")", "]")):
        return False  # a set is no tuple and no interval
    bases = _IN_BASE.fullmatch(gold), _IN_BASE.fullmatch(answer)
    if bases[0] and bases[1]:
        return bases[0].group(1) == bases[1].group(1) and _base(bases[0]) == _base(bases[1])
    return None


def as_gold(gold: str) -> str:
    r"""A normalized gold for math-verify: words as text, not as a product: "east" is r"\text{east}"."""
    return f"\\text{{{gold}}}" if _WORDS.fullmatch(gold) else gold


def _plain(answer: str) -> str:
    """Without the marks of text and without the spaces that separate no words."""
    return _IDLE_SPACE.sub("", _TEXT.sub(r"\1", _SIZES.sub("", answer))).rstrip(".")


def _decimal(number: re.Match[str]) -> Decimal:
    return Decimal(number[1] + number[2].replace(",", ""))


def _base(number: re.Match[str]) -> str:
    return number[2] or number[3]
