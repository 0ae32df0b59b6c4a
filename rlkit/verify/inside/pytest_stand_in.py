"""What data sets' tests use of pytest: raises, approx, fail, mark.parametrize."""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from .remote import SolutionError


class raises:
    """with raises(ValueError, match="text"): ..."""

    def __init__(self, expected: Any, match: str | None = None) -> None:
        self._expected, self._match = expected, match
        self.value: BaseException | None = None

    def __enter__(self) -> "raises":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if kind is None or error is None:
            raise AssertionError(f"{self._expected} was not raised")
        expected = self._expected if isinstance(self._expected, tuple) else (self._expected,)
        if not any(_is_of(error, one) for one in expected):
            return False
        self.value = error
        if self._match is not None and not re.search(self._match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {self._match!r}")
        return True


def _is_of(error: BaseException, expected: Any) -> bool:
    """Whether an error is of a class; one of the program's own is a stand-in, and known by its name."""
    if isinstance(expected, partial):
        return isinstance(error, SolutionError) and error.args[:1] == expected.args
    return isinstance(error, expected)


class approx:
    """0.1 + 0.2 == approx(0.3); of numbers, lists, tuples and dicts."""

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None) -> None:
        self._expected = expected
        self._rel = rel if rel is not None else (0.0 if abs is not None else 1e-6)
        self._abs = 1e-12 if abs is None else abs

    def __eq__(self, value: Any) -> bool:
        return self._close(value, self._expected)

    __hash__ = None  # type: ignore[assignment]

    def _close(self, value: Any, expected: Any) -> bool:
        if isinstance(value, int | float) and isinstance(expected, int | float):
            return math.isclose(value, expected, rel_tol=self._rel, abs_tol=self._abs)
        if isinstance(expected, list | tuple) and isinstance(value, list | tuple):
            return len(value) == len(expected) and all(map(self._close, value, expected))
        if isinstance(expected, dict) and isinstance(value, dict):
            return value.keys() == expected.keys() and all(
                self._close(value[k], expected[k]) for k in expected
            )
        return bool(value == expected)


def _parametrize(names: str | Sequence[str], values: Sequence[Any], **_: Any) -> Callable[[Any], Any]:
    parts = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        def each(**others: Any) -> None:
            for value in values:
                test(**others, **dict(zip(parts, (value,) if len(parts) == 1 else value, strict=True)))

        return each

    return decorate


mark = SimpleNamespace(parametrize=_parametrize)


def fail(reason: str = "") -> None:
    """Fails the test."""
    raise AssertionError(reason)


def main(*_: Any) -> int:
    """Nothing: the tests are run one by one."""
    return 0
