"""Nothing goes from case to case, no output looks right that is not, and no object or checker says so."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from rlkit.verify.cases import Cases, judge, run_cases
from rlkit.verify.code import in_parallel, run_tests
from rlkit.verify.compare_outputs import Comparison
from rlkit.verify.formats.leetcode_prelude import PRELUDE
from rlkit.verify.inside.plain import is_plain
from rlkit.verify.sandbox import Limits

pytestmark = pytest.mark.usefixtures("sandbox")
SHORT = Limits(wall_seconds=1.5)


def programs(name: str) -> dict[str, str]:
    sections = Path(__file__).with_name(name).read_text().split("### ")[1:]
    return {section.partition("\n")[0]: section.partition("\n")[2] for section in sections}


SCRIPTS, OBJECTS = programs("hostile_cases.txt"), programs("hostile_objects.txt")
INPUTS, SQUARES = ["2", "3", "4", "5"], ["4", "9", "16", "25"]
HARMLESS = {
    name: f"x = int(input())\n{script}\nprint(x * x if found else 0)"
    for name, script in programs("hostile_plain.txt").items()
}
MORE = range(3, 11)  # messages of 1, 2, 4 and 1 cases


def test_nothing_goes_from_case_to_case(nothing_left: None) -> None:
    def passed(script: str) -> int:
        program = f"{script}\nx = int(input())\nprint(x * x if found else 0)"
        return run_cases(program, INPUTS, SQUARES, limits=SHORT).passed

    with ThreadPoolExecutor(4) as pool:
        earned = dict(zip(SCRIPTS, pool.map(passed, SCRIPTS.values()), strict=True))
    assert {name: number for name, number in earned.items() if number} == {}
    assert run_cases("print(int(input()) ** 2)", INPUTS, SQUARES).passed == 4


def test_nothing_goes_from_case_to_case_of_what_looks_harmless(nothing_left: None) -> None:
    assert {name for name, program in HARMLESS.items() if is_plain(program)} == {
        name for name in HARMLESS if name.startswith("plain_")
    }
    cases = [str(x) for x in MORE], [str(x * x) for x in MORE]
    outcomes = in_parallel(partial(run_cases, program, *cases, limits=SHORT) for program in HARMLESS.values())
    earned = {name: outcome.passed for name, outcome in zip(HARMLESS, outcomes, strict=True)}
    assert {name: number for name, number in earned.items() if number} == {}


def test_nothing_goes_from_program_to_program(nothing_left: None) -> None:
    """The same scripts, each a program of one case, in the sandboxes that in_parallel keeps."""
    answer = "x = int(input())\nprint(x * x if found else 0)"
    jobs = [
        partial(run_cases, f"{script}\n{answer}", [given], [square], limits=SHORT)
        for given, square in list(zip(INPUTS, SQUARES, strict=True))[:2]
        for script in SCRIPTS.values()
    ]
    outcomes = in_parallel([*jobs, partial(run_cases, "print(int(input()) ** 2)", INPUTS, SQUARES)])
    assert [outcome.passed for outcome in outcomes] == [0] * len(jobs) + [4]


EQUALS = "    def equals(self, other):\n        return is_same_list(self, other)\n"
PROMPT = PRELUDE.replace("class ListNode:\n", f"class ListNode:\n{EQUALS}")
CHECK = """def check(candidate):
    import numpy
    xs = [3, 1, 2]
    assert is_same_list(candidate(x = list_node([2, 1])), list_node([1, 2]))
    assert candidate(x = list_node([2, 1])).equals(list_node([1, 2]))
    assert candidate(x = list_node([2])) == [5]
    assert candidate(x = xs) == sorted(xs)
    assert numpy.allclose(candidate(x = [2]), [9, 9])
    assert abs(candidate(x = 3) - 9) <= 1e-6
"""


def test_no_object_passes_a_test(nothing_left: None) -> None:
    def passed(program: str) -> int:
        return run_tests(f"{PROMPT}\n{program}", [CHECK], [PROMPT], "Solution().f", SHORT).passed

    with ThreadPoolExecutor(4) as pool:
        earned = dict(zip(OBJECTS, pool.map(passed, OBJECTS.values()), strict=True))
    assert {name: number for name, number in earned.items() if number} == {}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        *(("nan", "1"), ("nan", "NaN x"), ("inf", "1e300"), ("1e400", "inf"), ("1e400", "1e401")),
        *(("-inf", "inf"), ("inf", "Infinity"), ("1e400", "2"), ("1", "nan"), ("1_0", "10"), ("0x1", "1")),
        *(("1e-7", "YES"), ("1 1", "1"), ("1", "1 1"), ("", "0"), ("\u0661", "1"), ("1,0", "1.0")),
        *(("1.00001", "1"), ("1j", "1"), ("True", "1"), ("1e999999999", "1"), ("9" * 500, "1")),
    ],
)
def test_outputs_that_only_look_equal_within_a_tolerance(output: str, expected: str) -> None:
    assert not Comparison(float_tolerance=1e-6).same(output, expected)


CHECKER = """import sys
given, expected, output = (open(path).read() for path in sys.argv[1:])
numbers = output.split()
{how}
"""
HOWS = [
    "print(int(int(numbers[0]) + int(numbers[1]) == int(given)))",
    "if int(numbers[0]) + int(numbers[1]) != int(given): print('wrong:', output)\nelse: print(1)",
    "assert int(numbers[0]) + int(numbers[1]) == int(given), output",
]
FORGED = [
    *("1", "1\n1", "0 0\n1", "x\n1", "", "1e9 1e9", "nan nan", "0\0 1", "'); print(1); ('", "9" * 5000),
    *("print(1)", "true", "__import__('os')._exit(0)", "inf inf", "\n".join("1" * 10_000), "5 1\nok"),
]


@pytest.mark.parametrize("how", HOWS)
def test_no_forged_output_passes_a_checker(how: str, nothing_left: None) -> None:
    for output in FORGED:
        cases = Cases(["5\n"], ["2 3"], checker=CHECKER.format(how=how))
        assert judge(f"print({output!r})", cases).passed == 0, output
    assert judge("print(1, 4)", Cases(["5\n"], ["2 3"], checker=CHECKER.format(how=how))).passed == 1


@pytest.mark.parametrize(
    "program",
    [
        "import os\nfor n in range(3, 64):\n try: print(os.pread(n, 99, 0).decode())\n except OSError: pass",
        "import os\nprint('1 4') if os.path.exists('/proc/self/fd/3') else print(0)",
    ],
)
def test_a_program_is_not_given_the_checkers_files(program: str) -> None:
    cases = Cases(["5\n"], ["2 3"], checker=CHECKER.format(how=HOWS[0]))
    assert judge(program, cases, limits=SHORT).passed == 0
