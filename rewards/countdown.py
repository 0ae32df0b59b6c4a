r"""1.0 where the answer is an expression that uses each of the row's numbers once and has the target's value.

The expression stands in the last `<answer>...</answer>`, else in the last `\boxed{}`; it is made of integers,
+ - * / and parentheses, and "= 24" may follow. Columns `nums` (or `numbers`) and `target`, as in TinyZero and
Countdown-Tasks-3to4. None (unscorable) where a row's numbers or target are none.

Values are exact fractions. The expression is walked as a syntax tree, never evaluated as code, and is short
and free of names and powers before it is parsed, so that no text can be costly.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from rlkit.verify.stated import marked_answer
from rlkit.verify.syntax import parse_expression
from rlkit.verify.text import Completion, completion_text

MAX_CHARS = 200
_ALLOWED = re.compile(r"[\d+\-*/() ]+", re.ASCII)
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": "", "$": ""}
_SIGNS = str.maketrans({"\u00d7": "*", "\u00f7": "/", "\u2212": "-", "\n": " "})
_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def solves(expression: str, numbers: Sequence[int], target: int) -> bool:
    """solves("(5 + 1) * 4 = 24", [1, 4, 5], 24) is True; with a number left out or used twice, False."""
    left, equals, right = _plain(expression).partition("=")
    if equals and right.strip() != str(target):
        return False
    if len(left) > MAX_CHARS or not _ALLOWED.fullmatch(left):
        return False
    try:
        tree = parse_expression(left.strip())
        return sorted(_numbers(tree)) == sorted(numbers) and _value(tree) == target
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return False


def countdown(
    completions: list[Completion],
    target: list[int],
    nums: list[list[int]] | None = None,
    numbers: list[list[int]] | None = None,
    **_: Any,
) -> list[float | None]:
    """Compare each completion's expression with its row's numbers and target."""
    given = nums if nums is not None else numbers
    if given is None:
        raise ValueError("countdown needs a column nums (or numbers): the integers to use")
    return [
        None
        if row is None or goal is None
        else float(solves(marked_answer(completion_text(completion)) or "", row, goal))
        for completion, row, goal in zip(completions, given, target, strict=True)
    ]


def _plain(expression: str) -> str:
    expression = expression.translate(_SIGNS) if len(expression) <= 2 * MAX_CHARS else ""
    for command, sign in _LATEX.items():
        expression = expression.replace(command, sign)
    return expression


def _numbers(tree: ast.AST) -> Iterator[int]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))  # type: ignore[misc]


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _BINARY[type(sign)](_value(left), _value(right))
    raise ValueError(f"{type(node).__name__} is not allowed")
