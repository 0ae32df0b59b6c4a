"""Which code of a completion runs, what its tests count, and that no completion breaks the grading."""

import gc
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.verify.code import complete, in_parallel, last_code_block, run_cases, run_tests
from rlkit.verify.inside import channel
from rlkit.verify.sandbox import Limits


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na\n```\nor\n```python\nb\n```\nDone.", "b\n"),
        ("```python\na\n```\nIt prints\n```\n4\n```", "a\n"),
        ("```py\na\n```\n```bash\nls\n```", "a\n"),
        ("```\na\n```\n```text\nb\n```", "a\n"),
        ("So:\n```python\na\nb", "a\nb"),
        ("```Python3\r\na\r\n```", "a\n"),
        ("```bash\nls\n```", ""),
        ("    return 1\n", "    return 1\n"),
        ("```python\ns = '```'\n```", "s = '```'\n"),
        ("", ""),
    ],
)
def test_the_last_code_block(text: str, code: str) -> None:
    assert last_code_block(text) == code


def test_a_completion_continues_the_prompt_or_has_the_whole_function() -> None:
    prompt = 'def f(x):\n    """Doc."""\n'
    assert complete("    return 1\n", "f", prompt) == prompt + "    return 1\n"
    assert complete("def f(x):\n    return 1", "f", prompt) == prompt + "\ndef f(x):\n    return 1"
    assert complete("def fg(x): pass", "f", None) == "def fg(x): pass"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False) | st.sampled_from([int, str, type(None)]),
    lambda inner: st.lists(inner, max_size=4)
    | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(st.text() | st.tuples(st.integers()), inner, max_size=4)
    | st.frozensets(st.integers() | st.text()),
    max_leaves=20,
)  # fmt: skip


def reader(data: bytes) -> Callable[[int], bytes]:
    file = io.BytesIO(data)
    return file.read


@given(PLAIN)
def test_plain_values_survive_the_channel(value: object) -> None:
    received = channel.receive(reader(channel.encode(value)))
    assert received == value and type(received) is type(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["tuple", "set", "dict", "int"]), inner),
)  # fmt: skip


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_message_is_plain_values_or_a_broken_channel(text: bytes) -> None:
    try:
        value = channel.receive(reader(len(text).to_bytes(4, "big") + text))
    except channel.BrokenChannelError:
        return
    channel.pack(value)  # raises a TypeError if it is anything else


class TestWithPrograms:
    pytestmark = pytest.mark.usefixtures("sandbox")

    def test_mbpp_counts_each_assert(self) -> None:
        program = "def f(x): return 4\ndef g(x): return (x,)"
        assert run_tests(program, ["assert f(2) == 4", "assert f(3) == 9"]).reward(share=True) == 0.5
        assert run_tests(program, ["assert f(2) == 4", "assert g(3) == (3,)"]).reward(share=False) == 1.0

    def test_tests_use_setup_modules_and_types(self) -> None:
        tests = ["assert math.isclose(area(unit), math.pi)", "assert kinds(1, int) == [True]"]
        program = "def area(r): return 3.141592653589793 * r\ndef kinds(x, t): return [isinstance(x, t)]"
        assert run_tests(program, tests, ["unit = 1"]).reward(share=False) == 1.0

    def test_a_function_may_have_the_name_of_a_builtin(self) -> None:
        assert run_tests("def sum(a, b): return a * b", ["assert sum(2, 5) == 10"]).reward(share=False) == 1.0

    def test_objects_of_the_solution_stay_there(self) -> None:
        program = "class P:\n def __init__(s, x): s.x = x\ndef get(p): return p.x\ndef none(): return P(0)"
        assert run_tests(program, ["assert get(P(3)) == 3", "assert none()"]).reward(share=False) == 1.0
        assert run_tests(program, ["assert P(3) == P(3)"]).reward(share=False) == 0.0

    def test_exceptions_reach_the_test(self) -> None:
        test = (
            "try:\n    f(0)\n    raised = False\nexcept ZeroDivisionError:\n    raised = True\nassert raised"
        )
        assert run_tests("def f(x): return 1 / x", [test]).reward(share=False) == 1.0
        assert run_tests("def f(x): return x", [test]).reward(share=False) == 0.0

    def test_programs_are_graded_side_by_side_while_garbage_is_collected(self) -> None:
        """Until CPython 3.13 two threads that parse are a SystemError where a collection switches them."""
        job = partial(run_tests, "def f(x): return x", ["assert f(1) == 1"], ["1\n" * 2000])
        collected: list[str] = []

        def let_others_run(phase: str, _: dict) -> None:
            collected.append(phase)
            time.sleep(1e-4)

        threshold = gc.get_threshold()
        gc.callbacks.append(let_others_run)
        gc.set_threshold(100)
        try:
            outcomes = in_parallel([job] * 12)
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(let_others_run)
        assert len(collected) > 100
        assert [outcome.reward(share=False) for outcome in outcomes] == [1.0] * 12

    def test_an_exhausted_iterator_does_not_pass_a_loop(self) -> None:
        test = "assert all(map(lambda x: f(x) == x * x, range(5)))"
        assert run_tests("def f(x): raise StopIteration", [test]).reward(share=False) == 0.0

    def test_humaneval_counts_the_statements_that_test(self) -> None:
        check = (
            "def check(candidate):\n    assert True, 'so'\n    xs = [1, 2]\n    assert candidate(1) == 1\n"
            "    for x in xs:\n        assert candidate(x) == x * x\n    assert helper(3) == 3\n"
        )
        prompt = "def helper(x):\n    return x\ndef f(x):\n    'Square.'\n"
        program = "def helper(x): return 0\ndef f(x): return 1"
        outcome = run_tests(program, [check], [prompt], "f")
        assert (outcome.passed, outcome.total) == (2, 3)  # the prompt's helper counts, not the solution's
        assert run_tests("def f(x): return x * x", [check], [prompt], "f").reward(share=False) == 1.0

    @pytest.mark.parametrize(
        ("tests", "setup", "entry_point"),
        [
            (["assert f(2) =="], [], None),
            (["assert f(2) == 4"], ["1 / 0"], None),
            (["assert f(2) == 4"], ["import no_such_module"], None),
            ([], [], None),
            (["def test(candidate): pass"], [], "f"),
            (["def check(candidate): assert True"], [], "f"),
            (["def check(candidate): assert candidate(1) == unknown"], [], "f"),
            (["x\0"], [], "f"),
        ],
    )
    def test_tests_that_are_unusable_give_none(
        self, tests: list[str], setup: list[str], entry_point: str | None
    ) -> None:
        assert run_tests("def f(x): return x * x", tests, setup, entry_point).reward(share=False) is None

    def test_what_passed_before_the_time_is_over_counts_as_a_share(self) -> None:
        program = "def f(x):\n    while x == 3: pass\n    return x * x"
        tests = ["assert f(2) == 4", "assert f(3) == 9"]
        outcome = run_tests(program, tests, limits=Limits(wall_seconds=2))
        assert outcome.reward(share=True) == 0.5 and outcome.reward(share=False) == 0.0

    def test_cases_ignore_white_space_at_the_ends(self) -> None:
        program = "import sys\nfor line in sys.stdin: print(int(line) * 2, ' ')\nprint()"
        assert run_cases(program, ["1\n2", "3"], ["2\n4\n", "6"]).reward(share=False) == 1.0
        assert run_cases(program, ["1\n2", "3"], ["2 4", "6"]).reward(share=True) == 0.5

    def test_a_script_runs_as_main_and_may_exit_with_zero(self) -> None:
        program = "import sys\nif __name__ == '__main__':\n    print(input())\n    sys.exit(0)"
        assert run_cases(program, ["\u00e9"], ["\u00e9"]).reward(share=False) == 1.0

    def test_numpy_is_there(self) -> None:
        program = "import numpy as np\ndef f(x): return np.sum(np.arange(x))"
        assert run_tests(program, ["assert f(4) == 6"]).reward(share=False) == 1.0

    @pytest.mark.slow
    @settings(max_examples=60)
    @given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
    def test_no_text_breaks_the_grading(self, text: str) -> None:
        limits = Limits(wall_seconds=3)
        for code in (last_code_block(text), f"def f(x): return {text}", f"def f(x): return {text!r}"):
            outcomes = (
                run_tests(code, ["assert f(1) == 2"], limits=limits),
                run_tests(
                    complete(code, "f", "def f(x):\n"), ["def check(c): assert c(1) == 2"], (), "f", limits
                ),
                run_cases(code, [text], ["2"], limits=limits),
            )
            assert all(outcome.reward(share) in (0.0, 1.0) for outcome in outcomes for share in (False, True))


UNSANDBOXED = """
import warnings
from collections.abc import Callable
from pathlib import Path
from rlkit.verify.code import run_cases, run_tests
from rlkit.verify.sandbox import Limits
limits = Limits(wall_seconds=2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    tests = ["assert f(2) == 4"]
    print(run_tests("def f(x): return x * x", tests).passed, run_cases("print(input())", ["1"], ["1"]).passed)
    for program in ("while True: pass", "import os; os._exit(0)", "import os; os.fork()",
                    "open('x', 'w').write('1')", "import socket; socket.socket()"):
        print(run_tests(program, tests, limits=limits).passed)
print(len(caught))
"""


def without_bubblewrap(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RLKIT_")}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=kept | {"PATH": "/nowhere", "TMPDIR": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_bubblewrap_one_line_says_what_to_do(tmp_path: Path) -> None:
    ended = without_bubblewrap(UNSANDBOXED, tmp_path)
    last_line = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1 and last_line.startswith(
        "rlkit.verify.sandbox.NoSandboxError: code rewards need a sandbox"
    )
    assert "apt install bubblewrap" in last_line and "RLKIT_UNSANDBOXED_CODE=1" in last_line
    assert ended.stdout == ""


def test_without_bubblewrap_limits_hold_where_that_is_allowed(tmp_path: Path) -> None:
    ended = without_bubblewrap(UNSANDBOXED, tmp_path, RLKIT_UNSANDBOXED_CODE="1")
    assert ended.stdout.split() == ["1", "1", "0", "0", "0", "0", "0", "1"], ended.stderr
    assert list(tmp_path.iterdir()) == []
