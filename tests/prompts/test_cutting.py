"""Cuts of solutions: after sentences and lines, and never inside of what belongs together."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.prompts.cutting import MOST_CUTS, cuts_between, cuts_of


def pieces(text: str) -> list[str]:
    ends = [0, *cuts_of(text).tolist(), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is 2.5. So x=5.\nDone", ["It is 2.5.", " So x=5.\n", "Done"]),
        ("She has 3 apples. He has 4! Together? 7", ["She has 3 apples.", " He has 4!", " Together?", " 7"]),
        ("1. Add 2.\n2. Take 3.\nIt is 4", ["1. Add 2.\n", "2. Take 3.\n", "It is 4"]),
        ("Some, e.g. two. Then one", ["Some, e.g. two.", " Then one"]),
        (
            "Let $x = 1. 5$ be. Then\n\\[ a. b\nc \\]\nso",
            ["Let $x = 1. 5$ be.", " Then\n", "\\[ a. b\nc \\]\n", "so"],
        ),
        ("\\begin{align} a\nb \\end{align}\nDone", ["\\begin{align} a\nb \\end{align}\n", "Done"]),
        ("f{a\nb}\nc", ["f{a\nb}\n", "c"]),
        ("One sentence only.", ["One sentence only."]),
        ("One sentence only.\n", ["One sentence only.\n"]),
        ("", [""]),
    ],
)
def test_cuts_by_hand(text, parts):
    """A newcomer reads off where a solution is cut; each case once went or could go wrong."""
    assert pieces(text) == parts


PARTS = st.sampled_from(
    [
        "Then ",
        "x = 3.14. ",
        "1,000 ",
        "$a_1. b$",
        "\\frac{1. }{2\n}",
        "\n",
        "So. ",
        "2. ",
        "\\alpha",
        "{",
        "}",
        "$",
        "? ",
        "é. ",
    ]
)


@given(st.lists(PARTS, max_size=60).map("".join))
def test_cuts_split_nothing_that_belongs_together(text):
    """No cut is inside of a number, a command or a brace; all are proper and ascending."""
    ends = cuts_of(text).tolist()
    assert ends == sorted(set(ends)) and len(ends) <= MOST_CUTS
    for end in ends:
        assert 0 < end < len(text.rstrip()) and text[:end].strip()
        assert not re.search(r"\d[.,]?\Z", text[:end]) or not re.match(r"[.,]?\d", text[end:])
        assert not re.search(r"\\[a-z]*\Z", text[:end]) or not re.match(r"[a-z]", text[end:])
        depth = text[:end].count("{") - text[:end].count("}")
        assert depth <= 0


def test_long_solutions_are_cut_at_equal_distances():
    """Each cut is graded once: of a hundred lines not all are."""
    ends = cuts_of("a\n" * 100 + "b")
    assert len(ends) == MOST_CUTS and ends[0] == 2 and ends[-1] == 200


@given(st.lists(st.text(max_size=4), max_size=3 * MOST_CUTS))
def test_steps_are_cut_between_them(steps):
    """After a step and before another, at most so many, and never after all that there is to read."""
    text, cuts = "".join(steps), cuts_between(steps).tolist()
    ends = {len("".join(steps[:num])) for num in range(len(steps))} - {0, len(text)}
    assert set(cuts) <= ends and cuts == sorted(set(cuts))
    assert len(cuts) == min(len(ends), MOST_CUTS)


def test_steps_by_hand():
    """An empty step is no place of its own."""
    assert cuts_between(["4+5=9", "", "\n9*2", "=18"]).tolist() == [5, 9]
    assert cuts_between(["42"]).tolist() == []
