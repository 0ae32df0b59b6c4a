"""Guards the rewards that users copy: tables of gold, completion, expected; hostile completions."""

import time

import pytest

from rewards.exact_integer import exact_integer
from rewards.format import format as box_format
from rewards.math_answer import accuracy, boxed_accuracy, hash_accuracy, number_accuracy

MATH_TABLE = [
    ("1/2", r"so \boxed{0.5}", 1.0),
    (r"\frac{1}{2}", r"The answer is $\frac{1}{2}$.", 1.0),
    (r"\frac{1}{2}", r"\boxed{\frac{2}{3}}", 0.0),
    ("x^2+1", r"\boxed{1+x^2}", 1.0),
    ("(1,2)", r"\boxed{(1, 2)}", 1.0),
    ("72", "She has 72 apples.", 1.0),
    ("72", r"\boxed{72}, not \boxed{71}", 0.0),
    ("48/2=24\n#### 1,000", r"\boxed{1000}", 1.0),
    ("48/2=24\n#### 1,000", "48/2=24\n#### 1,000", 1.0),
    ("1,000", "so 1000", 1.0),
    (r"so it is \boxed{7}", "7", 1.0),
    ("12", r"\boxed{12\text{ apples}}", 1.0),
    ("12", "#### 13", 0.0),
    ("12", "", 0.0),
    ("12", "no idea", 0.0),
    ("12", r"first \boxed{12}, then cut off: \boxed{1", 0.0),
    (12, "12", 1.0),
    ("", r"\boxed{12}", None),
    (None, r"\boxed{12}", None),
    ("1" * 1000, "1", None),
]

INTEGER_TABLE = [
    ("#### 1,200", "1,200 and 2.5", 1.0),
    ("7", "first 8, then 7.", 1.0),
    ("-3", "it is -3", 1.0),
    ("3", "5-3", 1.0),
    ("3", "x-3", 1.0),
    ("3", "3.0", 0.0),
    (7, r"\boxed{7}", 1.0),
    ("7", "", 0.0),
    ("7", "9" * 10_000, 0.0),
    ("none", "7", None),
    (None, "7", None),
]

FORMAT_TABLE = [
    (r"So it is $\boxed{4}$.", 1.0),
    (r"\[ \boxed{\frac{1}{2}} \]", 1.0),
    (r"\boxed{4}", 1.0),
    (r"\boxed{4} is the answer", 0.0),
    (r"\boxed{3} or \boxed{4}", 0.0),
    (r"\boxed{}", 0.0),
    (r"\boxed{4", 0.0),
    ("4", 0.0),
]

CHEAP_HOSTILE = {
    "10 MB of digits": "4" * 10_000_000,
    "10 MB of dollars": "$" * 10_000_000,
    "10 MB of hashes": "#" * 10_000_000,
    "nested boxes": r"\boxed{" * 1_500_000,
    "nested braces": r"\boxed{" + "{" * 5_000_000 + "}" * 5_000_001,
    "nested fractions": r"\boxed{" + r"\frac{" * 60 + "1" + "}{2}" * 60 + "}",
    "control characters": "\x00\ud800\n\r",
}


@pytest.mark.parametrize(("gold", "completion", "expected"), MATH_TABLE)
def test_accuracy(gold, completion, expected):
    assert accuracy([completion], answer=[gold]) == [expected]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["3", r"\frac{1}{2}"], 1.0),
        ([3, None, 0.5], 1.0),
        (["3", "4"], 0.0),
        (["3, 0.5"], 0.0),
        ([None, ""], None),
        ([], None),
    ],
)
def test_any_of_several_golds_counts(answer, expected):
    completions = [r"\boxed{1/2}", "7"]
    assert accuracy(completions, answer=[answer, "7"]) == [expected, 1.0]


def test_forms_of_accuracy():
    text = "\\boxed{1/2}\n#### 4/8\nwhich is 50 of a 100"
    rewards = (accuracy, boxed_accuracy, hash_accuracy, number_accuracy)
    assert [reward([text], answer=["0.5"]) for reward in rewards] == [[1.0], [1.0], [1.0], [0.0]]
    assert [reward([text], answer=["100"]) for reward in rewards] == [[0.0], [0.0], [0.0], [1.0]]
    assert [reward(["so 0.5"], answer=["0.5"]) for reward in rewards] == [[1.0], [0.0], [0.0], [1.0]]


@pytest.mark.parametrize(("gold", "completion", "expected"), INTEGER_TABLE)
def test_exact_integer(gold, completion, expected):
    assert exact_integer([completion], answer=[gold]) == [expected]


@pytest.mark.parametrize(("completion", "expected"), FORMAT_TABLE)
def test_format(completion, expected):
    assert box_format([completion], answer=["4"]) == [expected]


@pytest.mark.parametrize("reward", [accuracy, exact_integer, box_format])
def test_messages_score_like_strings(reward):
    completions = [r"\boxed{4}", r"\boxed{5} words"]
    messages = [[{"role": "assistant", "content": text}] for text in completions]
    blocks = [[{"role": "assistant", "content": [{"type": "text", "text": text}]}] for text in completions]
    expected = reward(completions, answer=["4", "4"])
    assert reward(messages, answer=["4", "4"]) == reward(blocks, answer=["4", "4"]) == expected
    assert reward([[{"role": "assistant", "content": None}]], answer=["4"]) == [0.0]


@pytest.mark.parametrize("name", CHEAP_HOSTILE)
@pytest.mark.parametrize("reward", [accuracy, exact_integer, box_format])
def test_hostile_completions_cost_little(reward, name):
    accuracy(["1/2"], answer=["0.5"])  # the worker's start is not what is measured
    start = time.perf_counter()
    assert reward([CHEAP_HOSTILE[name]], answer=["42"]) == [0.0]
    assert time.perf_counter() - start < 3
