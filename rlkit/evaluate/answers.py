"""What a completion answers, and which answers of a problem are the same."""

from collections.abc import Sequence

from rlkit.evaluate.benchmark import Kind
from rlkit.verify.answers import find_answer
from rlkit.verify.code import last_code_block
from rlkit.verify.equivalence import equivalent_groups


def read_answer(kind: Kind, text: str) -> str | None:
    """The final answer, the last code block, or all of the text, by kind; None if there is none."""
    if kind == "math":
        return find_answer(text)
    if kind == "code":
        return last_code_block(text).strip() or None
    return text.strip() or None


def answer_groups(kind: Kind, answers: Sequence[str | None]) -> list[int]:
    """A number for each answer of one problem, the same for equivalent ones; -1 for none, and for all that is
    not "math"."""
    return equivalent_groups(answers) if kind == "math" else [-1] * len(answers)
