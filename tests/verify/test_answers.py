"""Guards where the final answer of a text is found, in each form."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.verify.answers import find_answer, find_gold
from rlkit.verify.boxes import MAX_ANSWER_CHARS, closing_brace

# text, then the answer in the forms any, boxed, hash, last_number
TABLE = [
    (r"so $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}", r"\frac{1}{2}", None, "2"),
    (r"\boxed{1} or \boxed{2}", "1, 2", "1, 2", None, "2"),
    (r"$x=\boxed{1}$, $y=\boxed{2}$", "x = 1, y = 2", "x = 1, y = 2", None, "2"),
    (r"$x=\boxed{1}$, so $y=\boxed{2}$", "2", "2", None, "2"),
    (r"\boxed {5}", "5", "5", None, "5"),
    (r"\fbox{5}", "5", "5", None, "5"),
    (r"\boxed{\boxed{5}}", "5", "5", None, "5"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}", r"\{1,2\}", None, "2"),
    (r"7, so \boxed{}", None, None, None, "7"),
    (r"\boxed{12}, then cut off: \boxed{1", None, None, None, "1"),
    (r"\boxed 5", None, None, None, "5"),
    ("2+2=4\n#### 4", "4", None, "4", "4"),
    ("#### 3\n#### 1,234\nI hope so", "1,234", None, "1,234", "1,234"),
    ("####\n18", "18", None, "18", "18"),
    ("so 5 ####", None, None, None, "5"),
    (r"\boxed{5} #### 6", "5", "5", "6", "6"),
    ("She has 72 apples.", "72", None, None, "72"),
    ("It costs $18 and then $20.", "20", None, None, "20"),
    ("The answer is 5, which is 20% of 25.", "5", None, None, "25"),
    ("The answer is $x=5$, not 3", "x=5", None, None, "3"),
    ("Final Answer: 3 + 2 = 5", "3 + 2 = 5", None, None, "5"),
    ("**Answer:** 7 apples of 9", "7", None, None, "9"),
    ("the answer is\n\n$$\n\\frac{1}{2}\n$$", r"\frac{1}{2}", None, None, "2"),
    ("The answer is 4. Wait: the answer is 6.", "6", None, None, "6"),
    ("The answers are $x=1$ and $x=2$.", "x=1, x=2", None, None, "2"),
    ("The final answer is (1, 2]. I hope so.", "(1, 2]", None, None, "2"),
    (r"So 48 is the area of $PQRS$.", "48", None, None, "48"),
    (r"so \[x=\frac{1}{2}\] holds", r"x=\frac{1}{2}", None, None, "2"),
    (r"hence \(x^2\).", "x^2", None, None, "2"),
    (r"that is -\frac{1}{2} of it", r"-\frac{1}{2}", None, None, "2"),
    ("the ratio is 1/2.", "1/2", None, None, "2"),
    ("about 12.5% of them", "12.5%", None, None, "12.5"),
    ("it is -3", "-3", None, None, "-3"),
    ("the sum a-3 is", "3", None, None, "3"),
    ("pi is 3.14.", "3.14", None, None, "3.14"),
    ("x^2+1", "x^2+1", None, None, "1"),
    ("(1, 2)", "(1, 2)", None, None, "2"),
    ("no idea", None, None, None, None),
    ("", None, None, None, None),
]


@pytest.mark.parametrize(("text", "any_", "boxed", "hash_", "last_number"), TABLE)
def test_find_answer(text, any_, boxed, hash_, last_number):
    forms = ("any", "boxed", "hash", "last_number")
    assert [find_answer(text, form) for form in forms] == [any_, boxed, hash_, last_number]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("48/2=24\n#### 1,000", "1,000"),
        (r"so it is \boxed{7}", "7"),
        (" 3, 5 ", "3, 5"),
        (r"\text{east}", r"\text{east}"),
        ("all real numbers", "all real numbers"),
        ("", None),
        ("1" * (MAX_ANSWER_CHARS + 1), None),
    ],
)
def test_find_gold(gold, answer):
    assert find_gold(gold) == answer


def test_closing_brace_skips_escaped_ones_and_gives_up():
    assert closing_brace(r"{a\}b}}", 0) == 6
    assert closing_brace("a", 0) is None
    assert closing_brace("a" * 1000 + "}", 0) is None


@given(st.text(alphabet="$\\()[]{}# \n.,:=-+*/^%0123456789aeinorsw", max_size=3000))
def test_an_answer_is_a_short_part_of_the_text(text):
    for form in ("any", "boxed", "hash", "last_number"):
        answer = find_answer(text, form)
        assert answer is None or (0 < len(answer) <= MAX_ANSWER_CHARS and answer in text)


@pytest.mark.parametrize(
    "unit",
    [
        "answer is ",
        "answer is \\(",
        "\\(",
        "\\[",
        "$ ",
        "$$ ",
        "\\frac{",
        "\\boxed{",
        "####",
        "1,000,",
        "9",
        "1-",
        "-",
        "{",
        "answers ",
        "\\boxed{1},",
        "\\begin{array}",
        "answer is $1$,",
        "x = ",
        ", ",
        "\\quad",
        "1 = ",
    ],
)
def test_a_megabyte_costs_little(unit):
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    for form in ("any", "boxed", "hash", "last_number"):
        find_answer(text, form)
    assert time.process_time() - start < 0.5
