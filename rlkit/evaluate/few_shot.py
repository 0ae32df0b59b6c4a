r"""Worked examples for models without a chat template, written for this project, none from a data set.

Each is (question, what the model should continue with). MATH is Minerva's form (arXiv 2206.14858, appendix D)
with `\boxed{}`, PYTHON the one of MBPP's paper (arXiv 2108.07732, section 3).
"""

Example = tuple[str, str]

MATH_TEMPLATE = "Problem: {question}\nSolution:"
MATH_STOP = ("\nProblem:", "\n\n\n")

WORD_PROBLEMS: tuple[Example, ...] = (
    (
        "A bakery packs rolls in bags of 6. On Monday it fills 14 bags and has 5 rolls left over. "
        "How many rolls did it bake?",
        r" The bags hold 14 * 6 = 84 rolls. With the 5 left over that is 84 + 5 = 89. "
        r"The answer is \boxed{89}.",
    ),
    (
        "Lena saves $12 a week. She wants a bicycle for $150 and has $42 already. "
        "How many weeks must she still save?",
        r" She needs 150 - 42 = 108 dollars more. At 12 dollars a week that takes 108 / 12 = 9 weeks. "
        r"The answer is \boxed{9}.",
    ),
    (
        "A train has 8 carriages with 60 seats each. Three quarters of the seats are taken. "
        "How many seats are free?",
        r" There are 8 * 60 = 480 seats. A quarter of them is free: 480 / 4 = 120. "
        r"The answer is \boxed{120}.",
    ),
    (
        "Omar runs 3 km on each of 4 days and 5 km on each of 2 days. "
        "How many kilometers does he run on average on these days?",
        r" He runs 3 * 4 + 5 * 2 = 22 km on 4 + 2 = 6 days. The average is 22 / 6 = 11/3 km. "
        r"The answer is \boxed{\frac{11}{3}}.",
    ),
)

COMPETITION: tuple[Example, ...] = (
    (
        r"Find all real $x$ with $x^2 - 5x = 14$.",
        r" We have $x^2 - 5x - 14 = (x - 7)(x + 2) = 0$, so $x = 7$ or $x = -2$. "
        r"The answer is $\boxed{-2, 7}$.",
    ),
    (
        r"A fair coin is tossed 5 times. What is the probability of exactly 2 heads?",
        r" There are $\binom{5}{2} = 10$ ways to place the heads among $2^5 = 32$ outcomes. "
        r"The answer is $\boxed{\frac{5}{16}}$.",
    ),
    (
        r"What is the remainder of $3^{100}$ divided by $7$?",
        r" The powers of $3$ modulo $7$ repeat every $6$: $3, 2, 6, 4, 5, 1$. As $100 = 16 \cdot 6 + 4$, "
        r"$3^{100} \equiv 3^4 \equiv 4$. The answer is $\boxed{4}$.",
    ),
    (
        r"A rectangle has perimeter $26$ and diagonal $\sqrt{89}$. What is its area?",
        r" With sides $a, b$ we have $a + b = 13$ and $a^2 + b^2 = 89$, so "
        r"$2ab = 13^2 - 89 = 80$ and $ab = 40$. The answer is $\boxed{40}$.",
    ),
)

PYTHON_TEMPLATE = "You are an expert Python programmer, and here is your task: {question}\n[BEGIN]\n"
PYTHON_STOP = ("[DONE]",)

PYTHON: tuple[Example, ...] = (
    (
        "Write a function to count the words of a text that start with a given letter, in either case. "
        "Your code should pass these tests:\n\n"
        'assert count_starting("Blue birds sing", "b") == 2\n'
        'assert count_starting("", "a") == 0\n'
        'assert count_starting("One", "t") == 0',
        "def count_starting(text, letter):\n"
        "    return sum(word.lower().startswith(letter.lower()) for word in text.split())\n"
        "[DONE]",
    ),
    (
        "Write a function to rotate a list to the left by n places. "
        "Your code should pass these tests:\n\n"
        "assert rotate_left([1, 2, 3, 4], 1) == [2, 3, 4, 1]\n"
        "assert rotate_left([1, 2, 3], 5) == [3, 1, 2]\n"
        "assert rotate_left([], 2) == []",
        "def rotate_left(items, n):\n"
        "    if not items:\n"
        "        return []\n"
        "    n %= len(items)\n"
        "    return items[n:] + items[:n]\n"
        "[DONE]",
    ),
    (
        "Write a function to find the sum of the digits of a non-negative integer. "
        "Your code should pass these tests:\n\n"
        "assert digit_sum(0) == 0\n"
        "assert digit_sum(409) == 13\n"
        "assert digit_sum(99999) == 45",
        "def digit_sum(number):\n    return sum(int(digit) for digit in str(number))\n[DONE]",
    ),
)
