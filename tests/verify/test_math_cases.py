"""Guards the equality of answers: the tables of cases, and the golds of the data sets."""

import os
from pathlib import Path

import pytest

from rewards.math_answer import accuracy
from rlkit.prompts.files import read_rows
from rlkit.verify import check_golds, same_answers
from rlkit.verify.answers import find_gold
from rlkit.verify.equivalence import POOL
from rlkit.verify.literal import as_gold, normalize


def read_cases(name: str) -> list[tuple[str, str, str]]:
    """Gold, answer, and 1 or 0, of each line of a table."""
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").split("\n")
    cases = [line.rsplit(" | ", 1) for line in lines if line and not line.startswith("#")]
    return [(*case.split(" | ", 1), expected) for case, expected in cases]


DATA = os.environ.get("RLKIT_DATA")
# RLKIT_DATA's file, and the column that holds the golds; a dot goes into a column's objects.
GOLDS = {
    "gsm8k/train.jsonl": "answer",
    "gsm8k/test.jsonl": "answer",
    "math500/test.jsonl": "answer",
    "aime24/test.jsonl": "answer",
    "aime25/test.parquet": "reward_model.ground_truth",
    "svamp/test.jsonl": "Answer",
}


@pytest.mark.parametrize(
    ("table", "completion_of"),
    [
        ("math_cases.txt", lambda answer: f"So it is $\\boxed{{{answer}}}$."),
        ("math_completions.txt", lambda answer: answer.replace("<br>", "\n")),
    ],
)
def test_every_case_of_the_table(table, completion_of):
    cases = read_cases(table)
    results = same_answers([gold for gold, _, _ in cases], [completion_of(answer) for _, answer, _ in cases])
    wrong = [
        f"{gold} | {answer} is {result}, expected {expected}"
        for (gold, answer, expected), result in zip(cases, results, strict=True)
        if result is not (expected == "1")
    ]
    assert wrong == []
    assert len(cases) >= 200 and sum(expected == "0" for _, _, expected in cases) >= 70


def golds_of(file: str, column: str) -> list[str]:
    rows = read_rows(Path(DATA or "") / file)
    name, _, key = column.partition(".")
    return [str(row[name][key] if key else row[name]) for row in rows]


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="RLKIT_DATA names no folder with the data sets")
@pytest.mark.parametrize("file", GOLDS)
def test_every_gold_earns_1(file):
    golds = golds_of(file, GOLDS[file])
    assert check_golds(accuracy, [{"answer": gold} for gold in golds]) == []
    stated = [find_gold(gold) or "" for gold in golds]
    assert accuracy([f"So it is \\boxed{{{gold}}}." for gold in stated], answer=golds) == [1.0] * len(golds)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="RLKIT_DATA names no folder with the data sets")
def test_math_verify_agrees_that_equal_spellings_are_equal_answers():
    """The golds above pass without math-verify; so here it is asked about each of MATH-500's."""
    golds = sorted({normalize(gold) for gold in golds_of("math500/test.jsonl", "answer")})
    assert POOL.ask([(as_gold(gold), gold) for gold in golds]) == [True] * len(golds)
