"""Guards what is asked of demonstrations before a model loads; each mistake is one line."""

import logging

import pytest

from rlkit.objectives.demonstrations import accepted_demonstrations
from rlkit.prompts.pool import make_pool


def pool(*demonstrations, prompt=lambda i: f"{i}="):
    rows = [{"prompt": prompt(i), "demonstration": text} for i, text in enumerate(demonstrations)]
    made = make_pool(rows)
    made.prepare()
    return made


def right(completions, rows):
    return [None if text == "?" else float(text == "yes") for text in completions]


def test_rejected_ones_are_counted_and_listed_by_key(caplog):
    data = pool("yes", "no", None, "yes", "?", "yes", "yes")
    with caplog.at_level(logging.WARNING):
        accepted = accepted_demonstrations(data, "demonstration", right, 0.0)
    assert accepted == {str(data.key_N[i]) for i in (0, 3, 5, 6)}
    (record,) = caplog.records
    keys = f"{data.key_N[1]}, {data.key_N[4]}"
    assert f"rejects 2 of 6 demonstrations in 'demonstration'; keys of prompts: {keys}" in (
        record.getMessage()
    )


@pytest.mark.parametrize(
    ("data", "column", "message"),
    [
        (pool("yes"), "solution", r"demonstration_column \('solution'\) is not in the data; its columns are"),
        (pool(None, None), "demonstration", "is empty in every row; add demonstrations"),
        (
            pool("yes", "no", "no"),
            "demonstration",
            "rejects 2 of 3 demonstrations .*; that is more than half",
        ),
        (
            pool([{"role": "assistant", "content": "yes"}]),
            "demonstration",
            "prompt with key .* is text, its demonstration list; give text",
        ),
        (
            pool("yes", prompt=lambda i: [{"role": "user", "content": str(i)}]),
            "demonstration",
            "prompt with key .* is messages, its demonstration text; give a list of messages",
        ),
    ],
)
def test_a_mistake_is_one_line(data, column, message):
    with pytest.raises(ValueError, match=message):
        accepted_demonstrations(data, column, right, 0.0)
