"""Guards the code rewards as TRL calls them, and that every gold of HumanEval and MBPP earns 1."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rewards.code import humaneval, humaneval_share, mbpp, mbpp_share, stdin_stdout, stdin_stdout_share
from rlkit.verify import check_golds, check_reward, load_reward
from rlkit.verify.sandbox import isolation

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9\n"
PROMPT = 'def square(x):\n    """Square it."""\n'
MBPP_BROKEN = {367, 927}  # their set-up code lacks a class


EVALPLUS = """import numpy as np

def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and isinstance(exp, float):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert exact_match
"""
"""The form of EvalPlus's tests: all inputs in one loop, compared by NumPy."""


@pytest.fixture(autouse=True)
def sandbox() -> None:
    try:
        isolated = isolation()
    except ValueError as error:
        pytest.skip(str(error))
    if not isolated:
        pytest.skip("programs run without bubblewrap here")


def block(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\nIt works."


def test_humaneval_takes_text_and_messages_continuations_and_whole_functions() -> None:
    right = "def square(x):\n    return x * x"
    half = block("def square(x):\n    return 4")
    message = [{"role": "assistant", "content": block(right)}]
    completions = [block(right), message, "    return x * x\n", half, "I cannot."]
    rows: dict[str, Any] = {"test": [CHECK] * 5, "entry_point": ["square"] * 5, "code_prompt": [PROMPT] * 5}
    assert humaneval(completions, **rows, prompts=["?"] * 5) == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert humaneval_share(completions, **rows) == [1.0, 1.0, 1.0, 0.5, 0.0]


def test_evalplus_for_humaneval() -> None:
    loop = "    for i, (inp, exp) in enumerate(zip([[[0.1, 0.2]], [[1.0]]], [0.3, 1.0])):\n"
    check = f"{EVALPLUS}\ndef check(candidate):\n{loop}        assertion(candidate(*inp), exp, 0)\n"
    completions = [block("def total(xs): return sum(xs)"), block("def total(xs): return 0.3")]
    assert humaneval(completions, test=[check] * 2, entry_point=["total"] * 2) == [1.0, 0.0]


def test_evalplus_for_mbpp() -> None:
    """Its one script is the only test; rlkit/evaluate/benchmarks.py makes it a list."""
    loop = "for i, (inp, exp) in enumerate(zip([[(3, 4), (4, 5)], [(1, 2), (2,)]], [(4,), (2,)])):\n"
    script = f"{EVALPLUS}\n{loop}    assertion(similar(*inp), exp, 0)\n"
    right = block("def similar(a, b): return tuple(set(a) & set(b))")
    completions = [right, block("def similar(a, b): return (4,)")]
    assert mbpp(completions, [[script]] * 2) == [1.0, 0.0]


def test_mbpp_has_imports_and_setup_code() -> None:
    completions = [block("def half(x): return x / two()")] + [block("def half(x): return x / 2")] * 3
    tests = ["assert math.isclose(half(two), 1)", "assert half(4) == 3"]
    rows = {"test_setup_code": ["two = 2", "two = 2", "two = ", None], "test_imports": [["import math"]] * 4}
    assert mbpp(completions, [tests[:1]] * 4, **rows) == [0.0, 1.0, None, 0.0]
    assert mbpp_share(completions, [tests] * 4, **rows) == [0.0, 0.5, None, 0.0]


def test_stdin_stdout_compares_every_case() -> None:
    completions = [block("print(int(input()) * 2)"), block("print(2)"), block("1 / 0")]
    inputs, outputs = [["1\n", "2\n"]] * 3, [["2\n", "4\n"]] * 3
    assert stdin_stdout(completions, inputs, outputs) == [1.0, 0.0, 0.0]
    assert stdin_stdout_share(completions, inputs, outputs) == [1.0, 0.5, 0.0]


def test_rows_whose_tests_are_unusable_are_unscorable() -> None:
    code = [block("print(1)")]
    assert humaneval(code, [None], ["f"]) == humaneval(code, ["def check(c: pass"], ["f"]) == [None]
    assert mbpp(code, ["assert f(1) == 1"]) == mbpp(code, [[]]) == mbpp(code, [None]) == [None]
    assert stdin_stdout(code, [["1"]], [["1", "2"]]) == stdin_stdout(code, [[]], [[]]) == [None]


def test_a_missing_column_is_named_before_training() -> None:
    reward = load_reward("rewards.code:mbpp")
    with pytest.raises(ValueError, match="missing 1 required positional argument: 'test_list'"):
        check_reward(reward, [{"prompt": "?", "tests": ["assert f(1) == 1"]}])


def test_golds_are_checked_like_those_of_other_rewards() -> None:
    rows = [
        {"prompt": "?", "test": CHECK, "entry_point": "square", "code_prompt": PROMPT, "solution": solution}
        for solution in ("    return x * x\n", "    return x\n")
    ]
    assert check_golds(humaneval, rows, "solution") == [1]


def data(name: str) -> Path:
    folder = os.environ.get("RLKIT_DATA")
    if folder is None:
        pytest.skip("RLKIT_DATA does not name the folder of the data sets")
    return Path(folder, name)


@pytest.mark.slow
def test_the_golds_of_humaneval_earn_1() -> None:
    with gzip.open(data("humaneval/HumanEval.jsonl.gz"), "rt") as file:
        rows = [json.loads(line) for line in file]
    columns = {key: [row[key] for row in rows] for key in ("test", "entry_point")}
    columns["code_prompt"] = prompts = [row["prompt"] for row in rows]
    bodies = [row["canonical_solution"] for row in rows]
    assert humaneval_share(bodies, **columns) == [1.0] * 164
    whole = [block(prompt + body) for prompt, body in zip(prompts, bodies, strict=True)]
    assert humaneval(whole, **columns) == [1.0] * 164
    assert humaneval([block("")] * 164, **columns) == [0.0] * 164
    assert max(humaneval_share([prompt + "    return None" for prompt in prompts], **columns)) < 1.0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mbpp.jsonl", "sanitized-mbpp.json"])
def test_the_golds_of_mbpp_earn_1(name: str) -> None:
    text = data(f"mbpp/{name}").read_text()
    rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    columns = {
        key: [row[key] for row in rows]
        for key in ("test_list", "test_setup_code", "test_imports")
        if key in rows[0]
    }
    rewards = mbpp([row["code"] for row in rows], **columns)
    failed = {row["task_id"] for row, reward in zip(rows, rewards, strict=True) if reward != 1.0}
    assert failed - {123} == MBPP_BROKEN & {row["task_id"] for row in rows}  # 123 takes seconds
    some = {key: values[:50] for key, values in columns.items()}
    assert mbpp(["def nothing(): pass"] * 50, **some) == [0.0] * 50


@pytest.mark.slow
def test_many_gradings_leave_nothing() -> None:
    script = Path(__file__).parents[2] / "scripts" / "bench_sandbox.py"
    done = subprocess.run(
        [sys.executable, script, "--count", "300"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("300 gradings, 60 hostile; 0 hostile ones earned, 0 honest ones failed")
