"""Rewards for code: the completion's last code block runs against tests, in a sandbox (docs/code_rewards.md).

1.0 where all tests pass, else 0.0; those named `..._share` give the share of the tests passed. None
(unscorable) where a row's own tests are unusable. bubblewrap must be installed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from rlkit.verify.code import complete, in_parallel, last_code_block, run_cases, run_tests
from rlkit.verify.outcome import Outcome
from rlkit.verify.text import Completion, completion_text

UNUSABLE = Outcome(0, 0)


def humaneval(
    completions: list[Completion],
    test: list[str],
    entry_point: list[str],
    code_prompt: list[str] | None = None,
    **_: Any,
) -> list[float | None]:
    """HumanEval's check(candidate) of the function `entry_point`.

    `code_prompt` is HumanEval's own `prompt` column, renamed since TRL's prompt has that name: it may be
    continued by a completion, and it defines helpers that some tests use.
    """
    return _rewards(_humaneval(completions, test, entry_point, code_prompt), share=False)


def humaneval_share(
    completions: list[Completion],
    test: list[str],
    entry_point: list[str],
    code_prompt: list[str] | None = None,
    **_: Any,
) -> list[float | None]:
    """As humaneval; the share of the statements of check that pass."""
    return _rewards(_humaneval(completions, test, entry_point, code_prompt), share=True)


def mbpp(
    completions: list[Completion],
    test_list: list[list[str]],
    test_setup_code: list[str] | None = None,
    test_imports: list[list[str]] | None = None,
    **_: Any,
) -> list[float | None]:
    """MBPP's asserts, after the imports and the set-up code of the row."""
    return _rewards(_mbpp(completions, test_list, test_setup_code, test_imports), share=False)


def mbpp_share(
    completions: list[Completion],
    test_list: list[list[str]],
    test_setup_code: list[str] | None = None,
    test_imports: list[list[str]] | None = None,
    **_: Any,
) -> list[float | None]:
    """As mbpp; the share of the asserts that pass."""
    return _rewards(_mbpp(completions, test_list, test_setup_code, test_imports), share=True)


def stdin_stdout(
    completions: list[Completion], inputs: list[list[str]], outputs: list[list[str]], **_: Any
) -> list[float | None]:
    """Whole programs: for each of the row's `inputs` on standard input, the text of `outputs`."""
    return _rewards(_stdin_stdout(completions, inputs, outputs, True), share=False)


def stdin_stdout_share(
    completions: list[Completion], inputs: list[list[str]], outputs: list[list[str]], **_: Any
) -> list[float | None]:
    """As stdin_stdout; the share of the cases that pass."""
    return _rewards(_stdin_stdout(completions, inputs, outputs, False), share=True)


def _rewards(outcomes: Sequence[Outcome], share: bool) -> list[float | None]:
    return [outcome.reward(share) for outcome in outcomes]


def _code(completion: Completion) -> str:
    return last_code_block(completion_text(completion))


def _humaneval(
    completions: list[Completion], test: list[str], entry_point: list[str], code_prompt: list[str] | None
) -> list[Outcome]:
    prompts = code_prompt or [None] * len(completions)

    def grade(completion: Completion, test: Any, name: Any, prompt: Any) -> Outcome:
        if not (isinstance(test, str) and isinstance(name, str) and isinstance(prompt, str | None)):
            return UNUSABLE
        program = complete(_code(completion), name, prompt)
        return run_tests(program, [test], [prompt] if prompt else [], name)

    rows = zip(completions, test, entry_point, prompts, strict=True)
    return in_parallel([partial(grade, *row) for row in rows])


def _mbpp(
    completions: list[Completion],
    test_list: list[list[str]],
    test_setup_code: list[str] | None,
    test_imports: list[list[str]] | None,
) -> list[Outcome]:
    setups = test_setup_code or [""] * len(completions)
    imports = test_imports or [[] for _ in completions]

    def grade(completion: Completion, tests: Any, setup: Any, imports: Any) -> Outcome:
        if not (_texts(tests) and _texts(imports or []) and isinstance(setup, str | None)):
            return UNUSABLE
        return run_tests(_code(completion), tests, [*(imports or []), setup or ""])

    rows = zip(completions, test_list, setups, imports, strict=True)
    return in_parallel([partial(grade, *row) for row in rows])


def _stdin_stdout(
    completions: list[Completion], inputs: list[list[str]], outputs: list[list[str]], all_or_nothing: bool
) -> list[Outcome]:
    def grade(completion: Completion, inputs: Any, outputs: Any) -> Outcome:
        if not (_texts(inputs) and _texts(outputs) and len(inputs) == len(outputs)):
            return UNUSABLE
        return run_cases(_code(completion), inputs, outputs, all_or_nothing)

    rows = zip(completions, inputs, outputs, strict=True)
    return in_parallel([partial(grade, *row) for row in rows])


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
