"""Guards the formats by hand-made rows: golds earn 1, wrong programs 0, and unusable rows say why."""

import base64
import json
import os
import pickle
import zlib
from typing import Any

import pytest

from rewards.code import auto, auto_share
from rlkit.verify.formats import Settings, UnusableRowError, format_of, task_of
from rlkit.verify.formats.task import CasesTask
from rlkit.verify.golds import gold_text, grouped
from rlkit.verify.languages import NAMES

SQUARE = "print(int(input()) ** 2)"
ADD = "class Solution:\n    def add(self, a, b):\n        return (a + b,)"


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def cases(kind: str, *pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"input": given, "output": expected, "testtype": kind} for given, expected in pairs]


ROWS: dict[str, tuple[str, dict[str, Any], str]] = {
    "apps": ("apps", {"input_output": json.dumps({"inputs": ["2\n", "3\n"], "outputs": ["4\n", "9\n"]})},
             SQUARE),
    "apps with lines": ("apps", {"input_output": {"inputs": [["2", "3"]], "outputs": [["4", "9"]]}},
                        "for _ in range(2): print(int(input()) ** 2)"),
    "taco with a function": ("apps", {"input_output": json.dumps(
        {"fn_name": "add", "inputs": [[1, 2], [[1], [2]]], "outputs": [[[3]], [[1, 2]]]})},
        "def add(a, b): return [a + b] if a == 1 else a + b"),
    "taco with a method": ("apps", {"input_output": json.dumps(
        {"fn_name": "add", "inputs": [[1, 2]], "outputs": [[3]]})}, ADD),
    "code_contests": ("code_contests", {
        "public_tests": {"input": ["2"], "output": ["4"]}, "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": ["3"], "output": ["9"]}, "time_limit": {"seconds": 2, "nanos": 0},
        "memory_limit_bytes": 256000000}, SQUARE),
    "live_code_bench": ("live_code_bench", {
        "public_test_cases": json.dumps(cases("stdin", ("2", "4"))),
        "private_test_cases": packed(json.dumps(cases("stdin", ("3", "9"))))}, SQUARE),
    "live_code_bench with a function": ("live_code_bench", {
        "public_test_cases": json.dumps(cases("functional", ("1\n2", "[3]"))),
        "private_test_cases": packed(json.dumps(cases("functional", ("5\n6", "[11]")))),
        "metadata": json.dumps({"func_name": "add"})}, ADD),
    "kodcode": ("kodcode", {
        "test": "import pytest\nfrom solution import add, Box\n\n"
                "@pytest.mark.parametrize('a, b', [(1, 2), (2, 3)])\ndef test_add(a, b):\n"
                "    assert add(a, 1) == b or pytest.fail()\n\ndef test_box():\n    box = Box(3)\n"
                "    box.put(4)\n    assert box.items() == [3, 4]\n"
                "    assert add(0.1, 0.2) == pytest.approx(0.3)\n"
                "    with pytest.raises(TypeError):\n        add(1, None)\n",
        "test_info": [{"function_name": "add"}]},
        "def add(a, b): return a + b\nclass Box:\n    def __init__(self, x): self.x = [x]\n"
        "    def put(self, x): self.x.append(x)\n    def items(self): return self.x"),
    "kodcode with imports inside, a class and an error of its own": ("kodcode", {
        "test": "import pytest, solution\n\ndef test_f():\n    from solution import f, OwnError\n"
                "    assert f(2) == 4\n    with pytest.raises((OSError, OwnError), match='big'):\n"
                "        f(9)\n\n"
                "class TestG:\n    def test_g(self):\n        assert solution.g(1) == 2\n",
        "test_info": []},
        "class OwnError(Exception): pass\ndef g(x): return x + 1\n"
        "def f(x):\n    if x > 8: raise OwnError('too big')\n    return x * x"),
    "kodcode with all imported": ("kodcode", {
        "test": "from solution import *\ndef test_f():\n    assert f(2) == 4\n",
        "test_info": json.dumps([{"function_name": "f"}])}, "def f(x): return x * x"),
    "code_contests in lists": ("code_contests", {
        "public_tests": [{"input": "2", "output": "4"}], "private_tests": []}, SQUARE),
    "annotations and imports that LeetCode gives": ("stdin_stdout", {
        "inputs": [[[1, 2, 2]]], "outputs": [2], "func_name": "count"},
        "from __future__ import annotations\nclass Solution:\n    def count(self, xs: List[int]) -> int:\n"
        "        return len(Counter(xs))"),
    "exit()": ("stdin_stdout", {"inputs": ["2"], "outputs": ["4"]}, f"{SQUARE}\nexit()"),
    "files on standard output": ("stdin_stdout", {"inputs": ["2"], "outputs": ["4\n5\n6"]},
                                 "import sys\nsys.__stdout__.write('4\\n')\nsys.__stdout__.flush()\n"
                                 "out = open(1, 'w')\nout.write('5\\n6')"),
    "codeforces": ("codeforces", {
        "official_tests": [{"input": "2", "output": "4"}], "time_limit": 2.0, "memory_limit": 256.0}, SQUARE),
    "codeforces with a checker": ("codeforces", {
        "official_tests": [{"input": "5", "output": "2 3"}],
        "generated_checker": "import sys\nn, _, out = (open(p).read() for p in sys.argv[1:])\n"
                             "print(int(sum(map(int, out.split())) == int(n)))"},
        "print(1, int(input()) - 1)"),
    "test_cases": ("test_cases", {"test_cases": json.dumps([{"input": "2", "output": "4"}])}, SQUARE),
    "rstar": ("stdin_stdout", {"inputs": json.dumps(["2", "3"]), "outputs": json.dumps(["4", "9"])}, SQUARE),
    "rstar with a function": ("stdin_stdout", {
        "inputs": json.dumps([[1, 2]]), "outputs": json.dumps([[3]]), "func_name": "add"}, ADD),
    "floats": ("stdin_stdout", {"inputs": ["3"], "outputs": ["0.33333333"], "float_tolerance": 1e-6},
               "print(1 / int(input()))"),
    "several accepted outputs": ("stdin_stdout", {"inputs": ["", ""], "outputs": [["1 2", "2 1"], "2 1"]},
                                 "print('2 1 ')"),
    "case of letters": ("stdin_stdout", {"inputs": [""], "outputs": ["YES"], "ignore_case": True},
                        "print('Yes')"),
    "mbpp": ("mbpp", {"test_list": ["assert f(2) == 4"]}, "def f(x): return x * x"),
    "humaneval": ("humaneval", {"test": "def check(candidate):\n    assert candidate(2) == 4\n",
                                "entry_point": "f"}, "def f(x): return x * x"),
    "cpp": ("stdin_stdout", {"inputs": ["2", "3"], "outputs": ["4", "9"], "language": "cpp"},
            "#include <iostream>\nint main() { long long x; std::cin >> x; std::cout << x * x; }"),
    "javascript": ("stdin_stdout", {"inputs": ["2", "3"], "outputs": ["4", "9"], "language": "javascript"},
                   "console.log(Number(require('fs').readFileSync(0, 'utf8')) ** 2)"),
}  # fmt: skip


def graded(reward: Any, rows: list[dict[str, Any]], completions: list[str], **more: Any) -> tuple[list, list]:
    logged: dict[str, list] = {}
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    return reward(completions, **columns, **more, log_extra=logged.__setitem__), logged["reward_error"]


@pytest.mark.usefixtures("sandbox")
def test_golds_earn_1_and_wrong_programs_0() -> None:
    names, (formats, rows, golds) = list(ROWS), zip(*ROWS.values(), strict=True)
    assert [format_of(row) for row in rows] == list(formats)
    rewards, reasons = graded(auto, list(rows), [f"```\n{gold}\n```" for gold in golds])
    missing = {"cpp", "javascript"} if any("apt install" in (why or "") for why in reasons) else set()
    assert {n: w for n, r, w in zip(names, rewards, reasons, strict=True) if r != 1.0}.keys() <= missing, (
        reasons
    )
    rewards, reasons = graded(auto_share, list(rows), ["```\nprint(0)\n```"] * len(names))
    assert {n for n, r in zip(names, rewards, strict=True) if r != 0.0} <= missing
    assert all(reasons)


@pytest.mark.usefixtures("sandbox")
def test_the_fence_tells_the_language() -> None:
    completions = [
        "```js\nconsole.log(4)\n```",
        "```cpp\nint main() { puts(\n```",
        "```js\n1\n```\n```py\nprint(4)\n```",
    ]
    rewards, reasons = graded(auto, [{"inputs": ["2"], "outputs": ["4"]}] * 3, completions)
    if "apt install" not in str(reasons):
        assert rewards == [1.0, 0.0, 1.0] and "does not compile" in reasons[1]
    rewards, reasons = graded(
        auto, [{"test_list": ["assert f() == 1"]}], ["```cpp\nint f() { return 1; }\n```"]
    )
    assert rewards == [0.0] and "Python" in reasons[0]


@pytest.mark.usefixtures("sandbox")
def test_as_many_cases_as_settings_say_and_the_time_that_row_or_settings_say() -> None:
    row = {"inputs": [str(i) for i in range(50)], "outputs": [str(i) for i in range(50)]}
    task = task_of(row)
    assert isinstance(task, CasesTask)
    program = "x = int(input())\nprint(x if x else 'wrong')"
    settings = [Settings(max_cases=5, seed=seed) for seed in range(40)]
    totals = [task.grade(program, "python", one, False) for one in settings[:6]]
    assert {outcome.total for outcome in totals} == {5}
    assert task.grade(program, "python", Settings(max_cases=5, seed=3), False) == totals[3]
    slow = "import time; time.sleep(0.4); print(input())"
    two = {"inputs": ["1", "2"], "outputs": ["1", "2"]}
    rewards, reasons = graded(auto_share, [two, two | {"time_limit": 0.2}], [slow] * 2)
    assert rewards == [1.0, 0.0] and "time is over" in reasons[1]
    rewards, _ = graded(auto_share, [two | {"time_limit": 0.2}], [slow], settings=Settings(case_seconds=2))
    assert rewards == [1.0]
    rewards, reasons = graded(auto_share, [two | {"program_time_limit": 0.6}], [slow])
    assert rewards == [0.5] and "time is over" in reasons[0]


class Dangerous:
    def __reduce__(self) -> Any:
        return os.system, ("touch rlkit_escape",)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"input_output": "{"}, "input_output is not JSON"),
        ({"input_output": "[]"}, "must be an object"),
        ({"input_output": '{"fn_name": "a b", "inputs": [[1]], "outputs": [1]}'}, "must be an identifier"),
        ({"inputs": ["1"], "outputs": ["1", "2"]}, "1 inputs and 2 outputs"),
        ({"inputs": [1], "outputs": ["1"]}, "an input must be text, not 1"),
        ({"inputs": ["1"], "outputs": ["1"], "time_limit": "soon"}, "time_limit must be a number"),
        ({"inputs": ["1"], "outputs": ["1"], "float_tolerance": "x"}, "float_tolerance must be a number"),
        ({"public_test_cases": "[]", "private_test_cases": packed(Dangerous())}, "a pickle that names"),
        ({"public_test_cases": "[]", "private_test_cases": packed([1])}, "pickle of list"),
        ({"public_test_cases": "[]", "private_test_cases": "!"}, "neither JSON nor a packed text"),
        ({"test": "def test_a(): pass", "test_info": []}, "import from solution"),
        ({"test": "from solution import *\ndef test_a(): f()", "test_info": "[1]"}, "test_info must be a"),
        ({"test": "from solution import f\ndef test_a(path): f()", "test_info": []}, r"fixtures \(path\)"),
        ({"public_tests": {"input": "2", "output": []}, "private_tests": []}, "public_tests.input must be"),
        ({"question": "?"}, "no known format has the columns"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_say_why(row: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableRowError, match=why):
        task_of(row)
    assert not os.path.exists("rlkit_escape")


@pytest.mark.usefixtures("sandbox")
def test_what_makes_a_row_unscorable_is_logged() -> None:
    logged: dict[str, Any] = {}
    check = "def check(candidate):\n    assert same(candidate(1), 2)\n"
    rows = {"test": [check, "def check(", "x = 1"], "entry_point": ["f"] * 3}
    rewards = auto(["f = 1"] * 3, **rows, log_extra=logged.__setitem__, log_metric=logged.__setitem__)
    assert rewards == [None] * 3 and logged["code/not_run"] == 0
    for why, expected in zip(
        logged["reward_error"], ("same, which neither", "SyntaxError", "check(cand"), strict=True
    ):
        assert expected in why
    rewards, [why] = graded(auto, [{"inputs": ["1"], "outputs": ["1"], "checker": "def ("}], ["print(1)"])
    assert rewards == [None] and "checker is not Python" in why
    rewards, [why] = graded(auto, [{"inputs": ["1"], "outputs": ["1"], "language": "cobol"}], ["print(1)"])
    assert rewards == [None] and "language 'cobol'" in why


def test_golds_in_the_forms_of_data_sets() -> None:
    assert gold_text('["print(1)", "x"]') == "print(1)" == gold_text(["print(1)"])
    golds = {"language": [2, 3], "solution": ["int main() {}", "print(1)"]}
    assert gold_text(golds) == "```python\nprint(1)\n```"
    assert gold_text("[1, 2]") == "[1, 2]" and gold_text(5) == "5"
    assert set(NAMES.values()) == {"python", "cpp", "javascript"}


def test_reasons_are_grouped() -> None:
    reasons = [
        (1, "case 1: '2' where '3' is expected"),
        (4, "the row has no cases"),
        (9, "case 7: '' where '1' is expected"),
    ]
    assert grouped(reasons) == [(2, reasons[0][1], [1, 9]), (1, "the row has no cases", [4])]
