"""Guards format, length, countdown and multiple choice: values computed by hand."""

from types import SimpleNamespace

import pytest

from rewards.countdown import countdown, solves
from rewards.length_budget import LengthBudget, length_budget, triangle
from rewards.multiple_choice import chosen_letter, gold_letter, multiple_choice
from rewards.next_token import next_token
from rewards.soft_overlong import SoftOverlong, soft_overlong
from rewards.think_tags import think_tags, think_tags_prefilled

THINK_TABLE = [
    ("<think>2 and 2</think>4", 1.0, 0.0),
    ("\n<think>\na\n</think>\n4", 1.0, 0.0),
    ("2 and 2</think>4", 0.0, 1.0),
    ("so <think>a</think>4", 0.0, 0.0),
    ("<think>a</think> \n", 0.0, 0.0),
    ("<think> </think>4", 0.0, 0.0),
    ("<think>a</think>4</think>", 0.0, 0.0),
    ("<think>a<think>b</think>4", 0.0, 0.0),
    ("</think>a<think>4", 0.0, 0.0),
    ("4", 0.0, 0.0),
]


@pytest.mark.parametrize(("text", "whole", "prefilled"), THINK_TABLE)
def test_think_tags(text, whole, prefilled):
    assert think_tags([text]) == [whole]
    assert think_tags_prefilled([text]) == [prefilled]


def test_next_token():
    golds = {" theory": " the", "the": " the", "<think>a the</think>\n the": " the", " the</think> a": " the"}
    assert next_token(list(golds), list(golds.values())) == [1.0, 0.0, 1.0, 0.0]
    assert next_token([[{"role": "assistant", "content": "4+"}], "4"], ["4", ""]) == [1.0, None]


def test_budget_is_rmts():
    budgets = [length_budget.budget(step, 100) for step in (0, 50, 100, 200)]
    assert budgets == [800, 357, 160, 160]  # 800 * 0.2**0.5 = 357.77; 800 * 0.2 = 160
    assert LengthBudget(start=10, end=5, decay=0.01).budget(1, 1) == 5
    assert [triangle(length, 80) for length in (0, 40, 80, 120, 160, 500)] == [0, 0.5, 1, 0.5, 0, 0]


def test_length_budget_reads_the_trainers_step():
    ids = [[1] * 80, [1] * 160, [1] * 400]
    state = SimpleNamespace(global_step=100, max_steps=100)
    assert length_budget(["a"] * 3, completion_ids=ids, trainer_state=state) == [0.5, 1.0, 0.0]
    state = SimpleNamespace(global_step=0, max_steps=100)
    assert length_budget(["a"] * 3, completion_ids=ids, trainer_state=state) == pytest.approx([0.1, 0.2, 0.5])


def test_length_budget_counts_the_tokens_before_the_end_of_thinking():
    reward = LengthBudget(start=4, think_end_id=9)
    state = SimpleNamespace(global_step=0, max_steps=10)
    ids = [[1, 1, 9, 1, 1, 1, 1, 1], [1, 1, 1]]
    assert reward(["a"] * 2, completion_ids=ids, trainer_state=state) == [0.5, 0.75]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({"end": 0}, r"end \(0\)"), ({"start": 5, "end": 6}, "at most start"), ({"decay": 1.5}, "decay")],
)
def test_length_budget_names_the_wrong_number(numbers, message):
    with pytest.raises(ValueError, match=message):
        LengthBudget(**numbers)


def test_soft_overlong_is_dapos_plus_one():
    ids = [[1] * n for n in (0, 80, 90, 95, 100, 101, 1000)]
    scores = SoftOverlong(100, 20)(["a"] * 7, completion_ids=ids)
    assert scores == pytest.approx([1, 1, 0.5, 0.25, 0, 0, 0])
    assert SoftOverlong(100, 0)(["a"] * 2, completion_ids=[[1] * 100, [1] * 101]) == [1.0, 0.0]
    assert soft_overlong(["a"], completion_ids=[[1] * 18432]) == [0.5]
    with pytest.raises(ValueError, match=r"margin \(5\)"):
        SoftOverlong(4, 5)


COUNTDOWN_TABLE = [
    ("(5 + 1) * 4", True),
    ("(5+1)*4 = 24", True),
    (r"(5+1) \times 4", True),
    ("4 \u00d7 (1 + 5)", True),
    ("-1 * (1 - 5) * 6", False),
    ("5*4+1*4", False),
    ("5*4", False),
    ("4*(5+1) = 25", False),
    ("= 24", False),
    ("5 * 4 + 1", False),
    ("4 * (5 + 1", False),
    ("4 / (5 - 5 + 1)", False),
    ("1 / (5 - 5) + 4", False),
    ("4**(5-1)", False),
    ("5//1*4", False),
    ("5.0*4+1", False),
    ("24", False),
    ("(4, 5, 1)", False),
    ("__import__('os')", False),
    ("", False),
]


@pytest.mark.parametrize(("expression", "expected"), COUNTDOWN_TABLE)
def test_countdown_expressions(expression, expected):
    assert solves(expression, [1, 4, 5], 24) is expected


def test_countdown_values_are_exact():
    assert solves("8 / (3 - 8 / 3)", [3, 3, 8, 8], 24)
    assert solves("1 / 3 * 3", [1, 3, 3], 1)
    assert solves("-3 + 5", [3, 5], 2)


def test_countdown_reads_tags_and_boxes_and_either_column():
    texts = ["2*3 <answer>3*8</answer>", r"\boxed{3*8=24}", "3*8", "<answer>3+8</answer>"]
    columns = {"nums": [[3, 8]] * 4, "target": [24] * 4}
    assert countdown(texts, **columns) == [1.0, 1.0, 0.0, 0.0]
    assert countdown([texts[0]], numbers=[[3, 8]], target=[24]) == [1.0]
    assert countdown([texts[0]], nums=[None], target=[24]) == [None]
    with pytest.raises(ValueError, match="needs a column nums"):
        countdown(texts, target=[24] * 4)


CHOICE_TABLE = [
    ("Answer: B", "B"),
    ("The correct answer is (B).", "B"),
    ("**Answer:** **C**", "C"),
    (r"\boxed{B}", "B"),
    (r"so $\boxed{\text{(B)}}$", "B"),
    (r"\boxed{\textbf{D}}, though A looks right", "D"),
    ("<answer>C</answer>", "C"),
    (r"\boxed{C. 12}", "C"),
    ("It must be (D)", "D"),
    ("A and B are wrong. C", "C"),
    ("A man walks. I think it is B", "B"),
    ("The answer is A", "A"),
    ("Option A is the correct answer.", "A"),
    ("The answer is a prime number", None),
    ("A good question. I do not know", None),
    ("Answer: A or B", None),
    ("Answer: (A), (B)", None),
    (r"\boxed{A, B}", None),
    (r"\boxed{}", None),
    ("CAB", None),
    ("Vitamin K", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), CHOICE_TABLE)
def test_chosen_letter(text, expected):
    assert chosen_letter(text) == expected


def test_a_marked_answer_may_be_a_choices_text():
    choices = ["red", "Blue", "x"]
    assert chosen_letter("<answer>blue</answer>", choices) == "B"
    assert chosen_letter(r"\boxed{green}", choices) is None
    assert chosen_letter(r"\boxed{7}", ["7", "7"]) is None


@pytest.mark.parametrize(
    ("answer", "choices", "labels", "expected"),
    [
        ("B", None, None, "B"),
        (" (b) ", None, None, None),
        ("(B)", ["x", "y"], None, "B"),
        (1, ["x", "y"], None, "B"),
        (2, ["x", "y"], None, None),
        (-1, ["x", "y"], None, None),
        (True, ["x", "y"], None, None),
        ("y", ["x", "y"], None, "B"),
        ("C", ["x", "y"], None, None),
        ("2", ["x", "y"], ["1", "2"], "B"),
        ("", None, None, None),
        (None, None, None, None),
    ],
)
def test_gold_letter(answer, choices, labels, expected):
    assert gold_letter(answer, choices, labels) == expected


def test_multiple_choice_compares_letters():
    arc = {"text": ["x", "y"], "label": ["1", "2"]}
    assert multiple_choice(["(B)", "(B)", "?", "(B)"], answer=["B", "A", "B", ""]) == [1.0, 0.0, 0.0, None]
    assert multiple_choice(["(B)"], answer=["2"], choices=[arc]) == [1.0]
    assert multiple_choice([[{"role": "assistant", "content": "(B)"}]], answer=[1]) == [1.0]
