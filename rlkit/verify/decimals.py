r"""Decimals for the fractions of a gold with several numbers: (0.6, 2.6667] for (3/5, 8/3].

Four places are enough there, if they are the right ones: 2.6666 and 2.667 are wrong. A single number keeps
math-verify's six places, and so does an answer that has fractions itself.
"""

import re
from fractions import Fraction

MIN_PLACES = 4

_SEVERAL = re.compile(r"(?:\\left\s*)?[(\[].*,|.*\\begin\{", re.DOTALL)
_PLACES = re.compile(r"\.(\d+)", re.ASCII)
_FRACTION = re.compile(
    r"(?<![\d.^])(\d*)\s*\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))(?!\^)"
    r"|(?<![\d.^/])(\d+)\s*/\s*(\d+)(?![\d.^/])",
    re.ASCII,
)


def with_decimals_of(answer: str, gold: str) -> str:
    r"""The gold with its fractions as decimals, rounded to as many places as the answer has at most.

    with_decimals_of("(0.6, 2.6667]", "(3/5, 8/3]") is "(0.6000, 2.6667]". The gold as it is where the answer
    has less than MIN_PLACES, or a fraction.
    """
    places = max((len(digits) for digits in _PLACES.findall(answer)), default=0)
    if places < MIN_PLACES or "frac" in answer or "/" in answer or not _SEVERAL.match(gold):
        return gold
    return _FRACTION.sub(lambda fraction: _rounded(fraction, places), gold)


def _rounded(fraction: re.Match[str], places: int) -> str:
    whole, *numbers = fraction.groups()
    above, below = (int(number) for number in numbers if number is not None)
    if below == 0:
        return fraction.group()
    value = int(whole or 0) + Fraction(abs(above), below)
    units, rest = divmod(int(value * 10**places + Fraction(1, 2)), 10**places)
    return f"{'-' if above < 0 else ''}{units}.{rest:0{places}}"
