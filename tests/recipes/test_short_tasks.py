"""Guards the pool of short tasks: right answers, solutions, splits without a common question, rewards."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

from short_tasks import (
    KINDS,
    ORDINALS,
    best_so_far,
    is_right,
    make_prompts,
    messages_of,
    product_steps,
    reward,
    sum_steps,
    written,
)

from rlkit.prompts.cutting import cuts_of


def test_the_splits_share_no_question_and_hold_every_kind():
    pool, heldout = make_prompts(400, 0, "pool"), make_prompts(100, 1, "heldout")
    questions = [{row["prompt"][-1]["content"] for row in rows} for rows in (pool, heldout)]
    assert not questions[0] & questions[1]
    assert len(questions[0]) == len(pool) >= 380
    assert {row["kind"] for row in pool} == {row["kind"] for row in heldout} == set(KINDS)
    assert pool == make_prompts(400, 0, "pool")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_has_the_answer_that_is_given(kind):
    for row in make_prompts(190, 3, shots=1):
        if row["kind"] != kind:
            continue
        question, answer = row["prompt"][-1]["content"], int(row["answer"])
        words = question.replace("?", " ").replace(",", " ").replace(":", " ").replace(".", " ").split()
        values = [int(word) for word in words if word.isdigit()]
        first, last = values[0], values[-1]
        right = {
            "add": {first + last},
            "subtract": {first - last},
            "multiply": {first * last},
            "larger": {max(values)},
            "largest": {max(values)},
            "smallest": {min(values)},
            "last": {last},
            "nth": {value for word, value in zip(ORDINALS, values, strict=False) if word in words},
            "count": {len(values)},
            "word": {first + last, first - last},
        }
        assert answer in right[kind.split()[0]], question


def test_a_solution_ends_in_the_answer_and_no_hint_does():
    """All that is revealed is rejected by the reward, the whole accepted, and each sum in it holds."""
    has_steps = dict.fromkeys(KINDS, 0)
    for row in make_prompts(1520, 5, shots=1):
        solution, answer = row["solution"], row["answer"]
        texts = [solution, *(solution[:end] for end in cuts_of(solution))]
        assert solution.endswith(answer)
        said = [[{"role": "assistant", "content": text}] for text in texts]
        assert reward(said, answer=[answer] * len(texts)) == [1.0] + [0.0] * (len(texts) - 1), solution
        for a, sign, b, value in re.findall(r"(\d+)([-+*])(\d+)=(\d+)", solution):
            a, b = int(a), int(b)
            assert {"+": a + b, "-": a - b, "*": a * b}[sign] == int(value), solution
        has_steps[row["kind"]] += len(texts) > 1
    plain = {"multiply 1", "subtract 1", "larger 2", "larger 3"}
    assert {kind for kind, num in has_steps.items() if not num} == plain


def test_steps_are_those_of_the_digits():
    assert sum_steps(47, "+", 38) == ["47+30=77", "77+3=80", "80+5=85"]
    assert sum_steps(547, "+", 203) == ["547+200=747", "747+3=750"]
    assert sum_steps(52, "-", 38) == ["52-30=22", "22-2=20", "20-6=14"]
    assert sum_steps(50, "-", 7) == ["50-7=43"] and sum_steps(4, "+", 0) == ["4+0=4"]
    assert product_steps(47, 6) == ["40*6=240", "7*6=42", "240+42=282"]
    assert product_steps(7, 6) == ["7*6=42"] and product_steps(40, 6) == ["40*6=240"]
    assert best_so_far(max, [48, 18, 70]) == ["48 or 18: 48", "48 or 70: 70"]
    assert written(["The first is 7", "The second is 8", "The third is 7"], "7") == (
        "The first is 7, The second is 8\nThe third is 7"
    )


def test_the_last_integer_is_the_answer():
    assert is_right("It is 12, no: 7.", "7") and not is_right("7 or 12", "7") and not is_right("seven", "7")
    said = [[{"role": "assistant", "content": text}] for text in ("-3", "3")]
    assert reward(said, answer=["-3", "-3"]) == [1.0, 0.0]
    assert [turn["role"] for turn in messages_of("1 + 1 =", shots=1)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
