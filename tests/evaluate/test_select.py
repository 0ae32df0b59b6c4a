"""Guards the rules that choose rows: what each keeps, and that the one which leaves nothing is named."""

import numpy as np
import pytest

from rlkit.evaluate.select import (
    at_most,
    by_pass_rate,
    by_perplexity,
    in_failed_buckets,
    mixed_with,
    select,
    without,
)

ROWS = [{"prompt": f"row {number}", "pass_rate": number / 4, "kind": "ab"[number % 2]} for number in range(5)]


def numbers(rows: list[dict]) -> list[str]:
    return [row["prompt"][4:] for row in rows]


def test_rules_follow_one_another_and_each_is_counted():
    rules = {"pass": by_pass_rate(0.25, 1.0), "buckets": in_failed_buckets(diagnosis("b"))}
    kept, counts = select(ROWS, rules)
    assert numbers(kept) == ["1", "3"] and counts == {"rows": 5, "pass": 4, "buckets": 2}


def test_the_rule_that_leaves_nothing_is_named():
    rules = {"pass_rate (0,1)": by_pass_rate(0, 1), "buckets (x.json)": in_failed_buckets(diagnosis("c"))}
    with pytest.raises(ValueError, match=r"buckets \(x.json\) leaves none of 5 rows"):
        select(ROWS, rules)


def test_a_row_that_was_not_measured():
    with pytest.raises(ValueError, match="row 0 has no pass_rate; measure it by `rlkit score`"):
        by_pass_rate(0, 1)([{"prompt": "x"}])
    assert by_pass_rate(0, 1)([{"pass_rate": None}]) == []


def test_both_tails_of_perplexity_go():
    kept = by_perplexity(0.25, 0.75, lambda rows: np.array([9.0, 1.0, 3.0, 2.0, 4.0]))(ROWS)
    assert numbers(kept) == ["2", "3", "4"]  # the quartiles of 1, 2, 3, 4, 9 are 2 and 4
    assert [row["perplexity"] for row in kept] == [3.0, 2.0, 4.0]


def test_rows_that_hold_a_problem_go_every_one_of_them():
    problem = "a train goes from Bonn to Rome at ten and arrives at noon the next day"
    held = {"prompt": f"Read this. {problem} How long?"}
    rows = [ROWS[0], held, dict(held), {"prompt": problem}]
    assert without([problem], "question")(rows) == [ROWS[0]]


def test_so_many_and_mixed():
    drawn = at_most(3, seed=1)(ROWS)
    assert len(drawn) == 3 and numbers(drawn) == sorted(numbers(drawn))
    assert at_most(9, seed=1)(ROWS) == ROWS
    others = [{"prompt": "other"}] * 10
    assert len(mixed_with(others, 0.5, 0)(ROWS)) == 10  # 5 of 10 are others
    assert len(mixed_with(others, 0.05, 0)(ROWS * 19)) == 100  # 5 of 100


def diagnosis(failed: str) -> dict:
    return {"by": "kind", "buckets": [{"name": name, "failed": name == failed} for name in "abc"]}
