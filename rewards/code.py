"""Rewards for code: the completion's last code block runs against tests, in a sandbox (docs/code_rewards.md).

1.0 where all tests pass, else 0.0; those named `..._share` give the share of the tests passed. None
(unscorable) where a row's own tests are unusable or the machine is at fault; the column `reward_error` of the
log says why, and the metric `code/not_run` counts the latter. bubblewrap must be installed. `auto` tells the
format of each row by its columns; the others are for one format each.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rlkit.verify.code import in_parallel, last_program
from rlkit.verify.formats import Row, Settings, UnusableRowError, task_of
from rlkit.verify.languages import language_name
from rlkit.verify.outcome import Outcome, unusable
from rlkit.verify.text import Completion, completion_text

Rewards = list[float | None]


def auto(completions: list[Completion], settings: Settings | None = None, **columns: Any) -> Rewards:
    """Each row by the format that its columns show (rlkit/verify/formats)."""
    return _graded(completions, columns, None, False, settings)


def auto_share(completions: list[Completion], settings: Settings | None = None, **columns: Any) -> Rewards:
    """As auto; the share of the tests that pass."""
    return _graded(completions, columns, None, True, settings)


def humaneval(
    completions: list[Completion], test: list[str], entry_point: list[str], **columns: Any
) -> Rewards:
    """check(candidate) of HumanEval or LeetCodeDataset for `entry_point`, with `code_prompt` if there is one.

    `code_prompt` is the data set's own `prompt` column, renamed since TRL's prompt has that name: it may be
    continued by a completion, and it defines helpers that some tests use.
    """
    return _graded(completions, columns | {"test": test, "entry_point": entry_point}, "humaneval", False)


def humaneval_share(
    completions: list[Completion], test: list[str], entry_point: list[str], **columns: Any
) -> Rewards:
    """As humaneval; the share of the statements of check that pass."""
    return _graded(completions, columns | {"test": test, "entry_point": entry_point}, "humaneval", True)


def mbpp(completions: list[Completion], test_list: list[list[str]], **columns: Any) -> Rewards:
    """MBPP's asserts, after the row's `test_imports` and `test_setup_code`, if there are any."""
    return _graded(completions, columns | {"test_list": test_list}, "mbpp", False)


def mbpp_share(completions: list[Completion], test_list: list[list[str]], **columns: Any) -> Rewards:
    """As mbpp; the share of the asserts that pass."""
    return _graded(completions, columns | {"test_list": test_list}, "mbpp", True)


def stdin_stdout(
    completions: list[Completion], inputs: list[Any], outputs: list[Any], **columns: Any
) -> Rewards:
    """Whole programs: for each of the row's `inputs` on standard input, the text of `outputs`."""
    return _graded(completions, columns | {"inputs": inputs, "outputs": outputs}, "stdin_stdout", False)


def stdin_stdout_share(
    completions: list[Completion], inputs: list[Any], outputs: list[Any], **columns: Any
) -> Rewards:
    """As stdin_stdout; the share of the cases that pass."""
    return _graded(completions, columns | {"inputs": inputs, "outputs": outputs}, "stdin_stdout", True)


def _graded(
    completions: list[Completion],
    columns: dict[str, Any],
    format_name: str | None,
    share: bool,
    settings: Settings | None = None,
) -> Rewards:
    rows = _rows(columns, len(completions))
    outcomes = in_parallel(
        partial(_outcome, completion, row, format_name, settings or Settings(), not share)
        for completion, row in zip(completions, rows, strict=True)
    )
    _log(outcomes, columns.get("log_extra"), columns.get("log_metric"))
    return [outcome.reward(share) for outcome in outcomes]


def _outcome(
    completion: Completion, row: Row, format_name: str | None, settings: Settings, all_or_nothing: bool
) -> Outcome:
    try:
        task = task_of(row, format_name)
        language, code = last_program(completion_text(completion), _language(row))
    except UnusableRowError as error:
        return unusable(str(error))
    return task.grade(code, language, settings, all_or_nothing)


def _language(row: Row) -> str | None:
    """The language that a row asks for; None where it leaves it to the completion."""
    name = row.get("language")
    if not isinstance(name, str) or not name:
        return None
    language = language_name(name)
    if language is None:
        raise UnusableRowError(f"language {name!r} is not one of python, cpp and javascript")
    return language


def _rows(columns: dict[str, Any], num_rows: int) -> list[Row]:
    """The columns' values row by row; TRL's `prompts` as `prompt`."""
    named = columns | {"prompt": columns.get("prompts")}
    lists = {
        name: value for name, value in named.items() if isinstance(value, list) and len(value) == num_rows
    }
    return [{name: value[i] for name, value in lists.items()} for i in range(num_rows)]


def _log(
    outcomes: Sequence[Outcome],
    log_extra: Callable[[str, list[Any]], None] | None,
    log_metric: Callable[[str, float], None] | None,
) -> None:
    """What went wrong first with each completion, and how many the machine's fault left without a reward."""
    if log_extra is not None:
        log_extra("reward_error", [outcome.why for outcome in outcomes])
    if log_metric is not None:
        log_metric("code/not_run", sum(outcome.not_run for outcome in outcomes))
