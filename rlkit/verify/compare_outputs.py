"""Is a program's output the expected one? As the common judges compare: line by line, or token by token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True)
class Comparison:
    """How outputs are compared.

    White space at the ends of lines and blank lines at the end never count. With `float_tolerance` the words
    of the outputs are compared one by one: two numbers are the same within that error, absolute or relative
    to the expected one; nan and infinite ones only if they are written alike. With `ignore_case` YES is Yes.

    Comparison(float_tolerance=1e-6).same("0.3333333 1", "0.33333334\\n1") is True.
    """

    float_tolerance: float | None = None
    ignore_case: bool = False

    def same(self, output: str, expected: str | Sequence[str]) -> bool:
        """Whether the output is the expected one, or one of several accepted ones."""
        if not isinstance(expected, str):
            return any(self.same(output, accepted) for accepted in expected)
        if self.ignore_case:
            output, expected = output.casefold(), expected.casefold()
        if _lines(output) == _lines(expected):
            return True
        if self.float_tolerance is None:
            return False
        given, wanted = output.split(), expected.split()
        return len(given) == len(wanted) and all(map(self._close, given, wanted))

    def _close(self, given: str, wanted: str) -> bool:
        if given == wanted:
            return True
        numbers = _finite(given), _finite(wanted)
        if None in numbers:
            return False
        value, expected = map(float, numbers)  # type: ignore[arg-type]
        if math.isinf(value) or math.isinf(expected):  # 1e400 is not infinity
            return numbers[0] == numbers[1]
        tolerance = self.float_tolerance or 0.0
        return abs(value - expected) <= tolerance * max(1.0, abs(expected))


def _finite(word: str) -> Decimal | None:
    """A number as programs print it; None for words, nan, infinity, and 1_000 or other scripts' digits."""
    if len(word) > 400 or not word.isascii() or "_" in word:
        return None
    try:
        number = Decimal(word)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
