"""Guards which benchmark problems are found in a training file, and what is not one of them."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.evaluate.overlap import Overlap, find_overlaps, prompt_texts, tokens
from rlkit.prompts.files import read_rows

PROBLEM = r"Let $f(x) = \dfrac{1,000}{x}$ for $x \neq 0$. What is the value of $f\left(f(25)\right)$ at last?"


@pytest.mark.parametrize(
    "text",
    [
        PROBLEM.upper()
        .replace("\\DFRAC", "\\dfrac")
        .replace("\\NEQ", "\\neq")
        .replace("\\LEFT", "\\left")
        .replace("\\RIGHT", "\\right"),
        r"Let \(f(x)=\frac{1{,}000}{x}\) for \(x\ne 0\).  What is the value of \[f ( f(25) )\] at last",
        r"Let $f(x)\,=\,\tfrac{1000}{x}$ for $x \neq 0.$ [asy] draw((0,0)--(1,1)); [/asy] What is the"
        "\n\nvalue of $f(f(25))$ at last?",
    ],
)
def test_layout_does_not_hide_a_problem(text):
    assert find_overlaps([PROBLEM], ["Another text.", text]) == [Overlap(0, 1, "equal", 1.0)]


def test_tokens():
    assert tokens(r"Find $\dfrac{1,000}{x}$, please.") == ["find", "frac", "1000", "x", "please"]
    assert tokens("2.5 \u2212 a_1 (1, 2)") == ["2.5", "-", "a", "1", "1", "2"]


def test_numbers_and_operators_count():
    assert tokens("x + 1") != tokens("x - 1") != tokens("x - 2")
    assert find_overlaps(["What is 2 + 3?"], ["What is 2 - 3?", "What is 2 + 4?"]) == []


def test_a_long_problem_within_a_text_is_contained_a_short_one_must_be_equal():
    words = "a b c d e f g h"
    assert find_overlaps([words], [f"It says: {words}; solve it."]) == [Overlap(0, 0, "contained", 1.0)]
    assert find_overlaps(["a b c"], ["x a b c y"]) == []
    assert find_overlaps(["a b c"], ["A, b, C!"]) == [Overlap(0, 0, "equal", 1.0)]


def test_near_from_seven_tenths_of_the_8_grams_in_one_text_on():
    problem = [f"w{'abcdefghijklmnopq'[i]}" for i in range(17)]  # 10 8-grams
    training = [" ".join(problem[start:end]) for start, end in [(0, 13), (0, 14), (2, 17)]]
    assert find_overlaps([" ".join(problem)], training) == [Overlap(0, 2, "near", 0.8)]
    assert find_overlaps([" ".join(problem)], training[:2]) == [Overlap(0, 1, "near", 0.7)]
    assert find_overlaps([" ".join(problem)], training[:1]) == []


def test_the_same_8_grams_in_another_order_are_not_the_problem_whole():
    found = find_overlaps(["a b c d e f g h i"], ["a b c d e f g h x b c d e f g h i"])
    assert found == [Overlap(0, 0, "near", 1.0)]


def test_the_nearest_row_is_named_and_twins_are_all_listed():
    problem = "one two three four five six seven eight nine ten"
    found = find_overlaps([problem, "other", problem], [f"{problem} eleven", problem, problem])
    assert found == [Overlap(0, 1, "equal", 1.0), Overlap(2, 1, "equal", 1.0)]


@given(st.lists(st.text(max_size=40), max_size=6), st.integers(0, 5))
def test_a_training_text_is_always_found_unless_nothing_is_left_of_it(texts, place):
    found = {overlap.problem: overlap for overlap in find_overlaps(texts, texts)}
    assert set(found) == {number for number, text in enumerate(texts) if tokens(text)}
    assert all(overlap.kind == "equal" for overlap in found.values())


def test_prompts_are_text_or_messages():
    rows = [
        {"prompt": "a"},
        {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}]},
    ]
    assert prompt_texts(rows, "prompt") == ["a", "b"]
    with pytest.raises(
        ValueError, match=r"row 0 .* no column 'question'; .* \['prompt'\]: .*--prompt-column"
    ):
        prompt_texts(rows, "question")


@pytest.mark.skipif("RLKIT_DATA" not in os.environ, reason="RLKIT_DATA names no folder of data sets")
def test_deepscaler_holds_problems_of_math500_and_none_of_aime():
    data = Path(os.environ["RLKIT_DATA"])
    training = prompt_texts(read_rows(data / "deepscaler_measured" / "train.parquet"), "question")
    math500 = [row["problem"] for row in read_rows(data / "math500" / "test.jsonl")]
    aime24 = [row["problem"] for row in read_rows(data / "aime24" / "test.jsonl")]
    kinds = Counter(overlap.kind for overlap in find_overlaps(math500, training))
    assert kinds["equal"] == 8 and 0 < kinds["near"] < 10
    assert find_overlaps(aime24, training) == []
