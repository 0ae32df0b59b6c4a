"""Guards what is decided without math-verify, and that math-verify decides it alike."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.verify.equivalence import POOL
from rlkit.verify.literal import as_gold, normalize, same_as_written


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("**$1{,}000$**.", "1000"),
        (r"\( x = 5 \)", "x = 5"),
        (r"10,\!080", "10,080"),
        (r"1\,000\,000", "1000000"),
        (r"(12\,500, 3)", "(12500, 3)"),
        ("(12\u2009500, 3)", "(12500, 3)"),
        ("1 000 000", "1,000,000"),
        ("1 2", "1 2"),
        ("18 dollars", "18"),
        ("2\u03c0", r"2\pi"),
        ("\u22125", "-5"),
        ("\u221a2", r"\sqrt{2}"),
        ("90\u00b0", r"90^\circ"),
        (r"(1,\ 200)", r"(1,\ 200)"),
        ("$a$ or $b$", "a, b"),
        ("x = 3 or x = -1", "3, -1"),
        ("$x_1 = 3$, $x_2 = -1$", "x_1 = 3, x_2 = -1"),
        ("y = 3, x = 5", "x = 5, y = 3"),
        (r"1,000 \text{ and } 2,000", "1000, 2000"),
        (r"\text{salt and pepper}", r"\text{salt and pepper}"),
        (r"\{x \mid x < 1\}", "x < 1"),
        ("= 5", "5"),
        ("2 1/3", r"2\frac{1}{3}"),
        ("3e8", r"3 \times 10^{8}"),
        ("$", "$"),
        ("...", ""),
    ],
)
def test_normalize(answer, expected):
    assert normalize(answer) == expected
    assert normalize(expected) == expected


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("1,000", "1000.0", True),
        ("1000", "1001", False),
        ("145.0", "145", True),
        ("007", "7", True),
        (".5", "0.50", True),
        ("-0", "0", True),
        ("0.1", "0.1000001", None),
        ("12.5\\%", "12.5", True),
        ("12.5\\%", "0.125", None),
        (r"\$5", "5.00", True),
        ("1/2", "0.5", None),
        ("1,2", "12", None),
        ("9" * 400, "9" * 399 + "8", False),
        (r"\text{(C)}", "(C)", True),
        (r"\left( 1, 2 \right)", "(1,2)", True),
        (r"a \leftarrow b", r"a \arrow b", None),
        ("x y", "xy", None),
        ("52_8", "52_{8}", True),
        ("52_8", "52_9", False),
        ("52_8", "52", None),
        (r"\{1,2\}", "(1,2)", False),
        (r"\{1,2\}", "1,2", None),
    ],
)
def test_same_as_written(gold, answer, expected):
    assert same_as_written(gold, answer) is expected


def test_words_are_text_and_products_are_not():
    assert [as_gold(gold) for gold in ("east", "all real numbers", "abc", "2k", "x")] == [
        r"\text{east}",
        r"\text{all real numbers}",
        "abc",
        "2k",
        "x",
    ]


numbers = st.decimals(-(10**6), 10**6, places=2).map(str) | st.integers(-(10**9), 10**9).map(
    lambda n: f"{n:,}"
)


@settings(max_examples=60)
@given(numbers, numbers)
def test_math_verify_agrees_on_numbers(first, second):
    decided = same_as_written(first, second)
    equal = Decimal(first.replace(",", "")) == Decimal(second.replace(",", ""))
    assert decided is equal
    assert POOL.ask([(first, second)]) == [equal]


@given(st.text(max_size=60))
def test_normalizing_twice_changes_nothing_and_an_answer_equals_itself(text):
    once = normalize(text)
    assert normalize(once) == once
    assert same_as_written(once, once) is True
