"""What may be revealed of the rows' solutions."""

import numpy as np
import pytest

from rlkit.prompts.pool import make_pool
from rlkit.prompts.solutions import Solutions, beginning

ROWS = [
    {"prompt": "a", "solution": "1\n2\n3\n4"},
    {"prompt": "b", "solution": "only one"},
    {"prompt": "c", "solution": None},
    {"prompt": "d", "solution": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "x\ny"}]},
]


def without(char: str):
    """An examiner that refuses beginnings with a character in them."""
    return lambda row, solution, hints: ["answer" if char in hint else "" for hint in hints]


def test_shares_are_those_of_cuts():
    """A share gives back the beginning that it is of; solutions may be missing or messages."""
    solutions = Solutions(make_pool(ROWS))
    shares = solutions.shares(np.arange(4))
    assert [beginning("1\n2\n3\n4", share) for share in shares[0]] == ["", "1\n", "1\n2\n", "1\n2\n3\n"]
    assert [each.tolist() for each in shares[1:3]] == [[0.0], [0.0]]
    assert beginning("x\ny", shares[3][1]) == "x\n"


def test_a_list_of_steps_is_cut_between_them():
    """Nowhere else: neither at a line's end within a step, nor where a step is one digit of a number."""
    rows = [{"prompt": "a", "solution": ["1\n2", "3", "4"]}, {"prompt": "b", "solution": ["x\ny"]}]
    solutions = Solutions(make_pool(rows))
    shares = solutions.shares(np.arange(2))
    assert solutions.of(rows[0]) == "1\n234"
    assert [solutions.beginning_of(rows[0], share) for share in shares[0]] == ["", "1\n2", "1\n23"]
    assert shares[1].tolist() == [0.0]


def test_examined_shares_are_those_that_no_examiner_refuses():
    """What is refused is counted by its reason, and examined once."""
    solutions = Solutions(make_pool(ROWS))
    calls = []
    solutions.examiners = [
        without("2"),
        lambda row, solution, hints: [calls.append(hint) or "" for hint in hints],
    ]
    for _ in range(2):
        allowed = solutions.examined(np.array([0, 1]))
        assert allowed[0].tolist() == [0.0, 2 / 7] and allowed[1].tolist() == [0.0]
    assert calls == ["1\n"]
    assert solutions.metrics() == {
        "hints/examined": 2.0,
        "hints/refused/answer": 2.0,
        "hints/refused/nothing": 1.0,
    }
    again = Solutions(make_pool(ROWS[1:] + ROWS[:1]))  # no examiners: it would allow all
    again.load_state_dict(solutions.state_dict())
    assert again.examined(np.array([3]))[0].tolist() == [0.0, 2 / 7]


def test_a_missing_column_is_named():
    """One line before the model loads."""
    rows = [{"prompt": "a", "demonstration": "x\ny"}, {"prompt": "b", "demonstration": "x"}]
    assert Solutions(make_pool(rows)).column == "demonstration"
    with pytest.raises(
        ValueError, match=r"hint_column \('proof'\) is not in the data.*demonstration, prompt"
    ):
        Solutions(make_pool(rows), "proof")
    with pytest.raises(ValueError, match="hints need a column solution or demonstration, and it is not"):
        Solutions(make_pool([{"prompt": "a"}, {"prompt": "b"}]))
