"""Guards the equality of answers: the table in math_cases.txt, and the golds of the data sets."""

import os
from pathlib import Path

import pytest

from rewards.math_answer import accuracy
from rlkit.prompts.files import read_rows
from rlkit.verify import check_golds, same_answers
from rlkit.verify.answers import find_gold
from rlkit.verify.equivalence import POOL
from rlkit.verify.literal import as_gold, normalize

CASES = [
    line.rsplit(" | ", 1)
    for line in Path(__file__).with_name("math_cases.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
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


def test_every_case_of_the_table():
    pairs = [case.split(" | ", 1) for case, _ in CASES]
    golds = [gold for gold, _ in pairs]
    results = same_answers(golds, [f"So it is $\\boxed{{{answer}}}$." for _, answer in pairs])
    wrong = [
        f"{case} is {result}, expected {expected}"
        for (case, expected), result in zip(CASES, results, strict=True)
        if result is not (expected == "1")
    ]
    assert wrong == []
    assert len(CASES) >= 150 and sum(expected == "0" for _, expected in CASES) >= 100


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
