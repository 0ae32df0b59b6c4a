"""Cases of plain programs share a process; no program is plain that could tell so, or carry anything on."""

import ast
import sysconfig
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.verify.case_sandbox import Stock, stock
from rlkit.verify.cases import run_cases
from rlkit.verify.inside import plain_calls as calls
from rlkit.verify.inside.plain import is_plain
from rlkit.verify.languages import Runnable
from rlkit.verify.runner import Result, Runner
from rlkit.verify.sandbox import Limits

ORDINARY = Path(__file__).with_name("plain_programs.txt").read_text().split("### ")[1:]
NOT_PLAIN = [
    line.replace("\\n", "\n")
    for line in Path(__file__).with_name("not_plain.txt").read_text().splitlines()
    if not line.startswith("#")
]
PROGRAMS = {program.partition("\n")[0]: program.partition("\n")[2] for program in ORDINARY}


@pytest.mark.parametrize("name", PROGRAMS)
def test_ordinary_programs_are_plain(name: str) -> None:
    assert is_plain(PROGRAMS[name])


@pytest.mark.parametrize("program", NOT_PLAIN)
def test_a_program_that_could_tell_or_carry_something_is_not_plain(program: str) -> None:
    ast.parse(program)
    assert not is_plain(program)


ARGUMENTS = ["(3, 4)", "1", "[]", "[[1], [2]]", "map(len, [[1]])", "lambda *v: v"]
LISTS = ["", *ARGUMENTS, *(", ".join(two) for two in product(ARGUMENTS, repeat=2)), "*[1], map(len, [])"]
LISTS += [
    "{1: 2}.items(), {1}",
    "len, [], map(len, [])",
    "len, *[[]], map(len, [])",
    "[], key=lambda *v: v",
    "key=len",
    "[], default=map(len, [])",
]
RECEIVERS = {"[[2], [1]]": list, "'ab'": str, "{1: 2}": dict, "{1, 2}": set, "collections.deque([1])": deque}
ENDLESS = ("itertools.count", "itertools.cycle", "itertools.repeat")


def test_what_a_plain_call_gives_or_keeps_is_data() -> None:
    """All that may be called, with arguments of all sorts, fitting or not."""
    ran = set()
    for path in calls.TAKES.keys() - {"exit", "quit", "input", "print", calls.OWN, calls.TEMPLATE, *ENDLESS}:
        module = path.partition(".")[0]
        if module == "sys":
            continue
        imports = f"import collections, {module}" if module in calls.MODULES else "import collections"
        receivers = [y for y, kind in RECEIVERS.items() if module or hasattr(kind, path[1:])]
        for y, arguments in product(receivers[:1] if module else receivers, LISTS):
            call = f"{path if module else 'y' + path}({arguments})"
            program = f"{imports}\ny = {y}\nx = {f'[*{call}]' if path in calls.ITERATORS else call}"
            if not is_plain(program):
                continue
            values: dict[str, object] = {}
            with suppress(TypeError, ValueError, AttributeError, IndexError, KeyError, ArithmeticError):
                exec(program, values)
                ran.add(path)
            assert all(holds_data(values.get(name)) for name in "xy"), program
    assert len(ran) > 130


def holds_data(value: object) -> bool:
    if isinstance(value, defaultdict) and not isinstance(value.default_factory, type | None):
        return False
    if isinstance(value, dict):
        return holds_data([*value.keys(), *value.values()])
    if isinstance(value, list | tuple | set | frozenset | deque):
        return all(map(holds_data, value))
    return value is None or isinstance(value, int | float | str | bytes | range)


def test_no_module_of_the_library_is_plain_and_each_is_read() -> None:
    """But for short ones, and tables."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("[ab]*.py"))
    ]
    assert not any(map(is_plain, texts))


def test_a_program_too_deep_to_be_read_is_not_plain() -> None:
    assert not is_plain("x = " + "-" * 3000 + "1")
    assert not is_plain("x = 1" + " + 1" * 3000)
    assert not is_plain("x = ''" + ".strip" * 300)


class TestInSandboxes:
    pytestmark = pytest.mark.usefixtures("sandbox")

    @settings(max_examples=2, deadline=None)
    @given(st.lists(st.lists(st.integers(-20, 60), min_size=1, max_size=6), min_size=7, max_size=7))
    def test_cases_together_give_what_they_give_alone(self, cases: list[list[int]]) -> None:
        inputs = [f"{len(case)}\n{' '.join(map(str, case))}\nleft\n" for case in cases]
        with own_stock():
            for name, program in PROGRAMS.items():
                alone = f"import os\n{program}"
                assert is_plain(program) and not is_plain(alone)
                assert results(program, inputs) == results(alone, inputs), name

    def test_cases_of_a_plain_program_share_processes(self, nothing_left: None) -> None:
        """As the number of the next process tells."""
        numbers = []
        with own_stock():
            for program in ("print(int(input()) ** 2)", "import os\nprint(int(input()) ** 2)"):
                assert (
                    run_cases(program, [*map(str, range(40))], [str(x * x) for x in range(40)]).passed == 40
                )
                numbers += [int(result.output) for result in results("import os\nprint(os.getpid())", [""])]
        assert numbers[0] < 15 and numbers[1] - numbers[0] > 40

    def test_a_case_that_exceeds_a_limit_fails_alone(self, nothing_left: None) -> None:
        cases = [str(x) for x in range(9)], [str(x * x) for x in range(9)]
        square = "x = int(input())\nprint(x * x)\n"
        limits = Limits(case_seconds=0.3)
        for bad in (
            "while x == 5: pass",
            "x == 5 and 1 // 0",
            "[0] * ((x == 5) * 10 ** 10)",
            "if x == 5: exit(3)",
        ):
            assert is_plain(square + bad)
            assert run_cases(square + bad, *cases, limits=limits).passed == 8, bad


@contextmanager
def own_stock() -> Iterator[None]:
    sandboxes = Stock()
    token = stock.set(sandboxes)
    try:
        yield
    finally:
        stock.reset(token)
        sandboxes.close()


def results(program: str, inputs: list[str]) -> list[Result]:
    with Runner(program, Runnable(Limits())) as runner:
        return list(runner.run_all(inputs))
