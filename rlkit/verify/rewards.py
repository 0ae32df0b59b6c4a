"""Reward functions: check one before training, and keep its failures from ending a run.

A reward is a plain function with TRL's signature, f(completions, **columns) -> one float, or None for
unscorable, a completion; it may be async. Reward models (torch modules) are TRL's own affair and do not come
here.
"""

import asyncio
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from rlkit.verify.text import Completion
from rlkit.verify.time_limit import TimeLimitError, time_limit

Reward = Callable[..., Any]
OnError = Callable[[str, int, Exception], None]
Row = Mapping[str, Any]

NUM_CHECK_ROWS = 4
GOLD_BATCH = 256  # rows a call; the last-resort row-by-row pass then repeats at most this many
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")  # TRL passes these by other names


class WrongNumberError(ValueError):
    """A reward gave more or fewer rewards than there are completions: nobody knows which is whose."""


def reward_name(reward: Reward) -> str:
    """The name TRL logs it by: of the function inside a partial, of an instance's class."""
    while isinstance(reward, functools.partial):
        reward = reward.func
    return getattr(reward, "__name__", type(reward).__name__)


def is_async(reward: Reward) -> bool:
    """Whether calling the reward gives a coroutine; partials and async `__call__` included."""
    while isinstance(reward, functools.partial):
        reward = reward.func
    return inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(type(reward).__call__)


def guard(reward: Reward, on_error: OnError, timeout: float | None = None) -> Reward:
    """The reward, unable to end a run: a failing batch is graded row by row; rows that fail get None.

    Failing is to raise an Exception, or to return something else than one finite number or None a completion.
    A batch with a wrong number of rewards gets None throughout, and so does one that takes more than
    `timeout` seconds: async rewards are cancelled then, others interrupted as far as `time_limit` can. Each
    batch that failed is reported once: on_error(name, number of rows that got None for it, one of the
    exceptions). What a failing batch has logged through TRL's `log_extra` and `log_metric` is dropped, so
    that no column of the completions table gets rows twice.
    """
    name = reward_name(reward)

    def merge(
        batch_error: Exception, outcomes: Sequence[list[float | None] | Exception]
    ) -> list[float | None]:
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        on_error(name, len(errors), errors[0] if errors else batch_error)
        return [None if isinstance(outcome, Exception) else outcome[0] for outcome in outcomes]

    def none_of(completions: list[Completion], error: Exception) -> list[float | None]:
        return merge(error, [error] * len(completions))

    def graded(completions: list[Completion], log: "_HeldLog") -> list[float | None]:
        outcome = _attempt(reward, completions, log.columns)
        if isinstance(outcome, WrongNumberError):
            return none_of(completions, outcome)
        if isinstance(outcome, Exception):
            return merge(outcome, [_attempt(reward, *row) for row in _single_rows(completions, log.columns)])
        log.release()
        return outcome

    def guarded(completions: list[Completion], **columns: Any) -> list[float | None]:
        try:
            with time_limit(timeout):
                return graded(completions, _HeldLog(columns))
        except TimeLimitError as error:
            return none_of(completions, TimeoutError(str(error)))

    async def graded_async(completions: list[Completion], log: "_HeldLog") -> list[float | None]:
        outcome = await _attempt_async(reward, completions, log.columns)
        if isinstance(outcome, WrongNumberError):
            return none_of(completions, outcome)
        if isinstance(outcome, Exception):
            rows = _single_rows(completions, log.columns)
            return merge(outcome, [await _attempt_async(reward, *row) for row in rows])
        log.release()
        return outcome

    async def guarded_async(completions: list[Completion], **columns: Any) -> list[float | None]:
        try:
            async with asyncio.timeout(timeout):
                return await graded_async(completions, _HeldLog(columns))
        except TimeoutError:
            return none_of(completions, TimeoutError(f"took more than {timeout:g} s"))

    chosen = guarded_async if is_async(reward) else guarded
    chosen.__name__ = chosen.__qualname__ = name
    return chosen


def check_reward(reward: Reward, rows: Iterable[Row]) -> None:
    """Call a reward on a few rows with a dummy completion; a ValueError if TRL could not use it.

    `rows` have a `prompt` (text or messages) and the columns that the reward will be given.
    """
    sample = list(itertools.islice(rows, NUM_CHECK_ROWS))
    name = reward_name(reward)
    try:
        result = grade(reward, [as_completion(row, "0") for row in sample], sample)
    except Exception as error:
        raise ValueError(
            f"reward {name!r} raised {type(error).__name__}: {error} on the first {len(sample)} rows with "
            "the completion '0'; it must give each completion a number or None. It got "
            f"the columns {sorted(_columns(sample))}"
        ) from error
    try:
        checked_rewards(result, len(sample))
    except Exception as error:
        raise ValueError(
            f"reward {name!r} {error}; it must return a list with a number, or None for unscorable, for each"
            " completion"
        ) from error


def check_golds(reward: Reward, rows: Sequence[Row], gold_column: str = "answer") -> list[int]:
    r"""Positions of the rows whose own gold answer gets a reward below 1 when it is given as the completion.

    The gold (of a list, the first) is tried as it is, then as `\boxed{gold}`. Training on such rows would
    punish right answers: drop them. A row on which the reward raises, or that it cannot score, is among them.
    """
    for row in itertools.islice(rows, 1):
        if gold_column not in row:
            raise ValueError(f"gold column {gold_column!r} is not in the data; its columns are {sorted(row)}")
    checked = guard(
        reward, lambda name, num_rows, error: None
    )  # a row that fails gets None, and so is listed
    failing = list(range(len(rows)))
    for form in ("{}", "\\boxed{{{}}}"):
        scores: list[float | None] = []
        for start in range(0, len(failing), GOLD_BATCH):
            batch = [rows[i] for i in failing[start : start + GOLD_BATCH]]
            golds = [row[gold_column] for row in batch]
            texts = [form.format(gold[0] if isinstance(gold, list) and gold else gold) for gold in golds]
            completions = [as_completion(row, text) for row, text in zip(batch, texts, strict=True)]
            scores += grade(checked, completions, batch)
        failing = [i for i, score in zip(failing, scores, strict=True) if score is None or score < 1]
    return failing


def grade(
    reward: Reward,
    completions: Sequence[Completion],
    rows: Sequence[Row],
    completion_ids: list[list[int]] | None = None,
    log_extra: Callable[[str, list[Any]], None] | None = None,
) -> Any:
    """Call a reward outside of a trainer, with what TRL would give it; the result is not checked.

    `rows` are the completions' own, one each; what the reward logs is dropped without `log_extra`. An async
    reward runs in a thread of its own, as the caller may be a notebook that has an event loop already.
    """
    columns = _columns(rows)
    if completion_ids is not None:
        columns["completion_ids"] = completion_ids
    if log_extra is not None:
        columns["log_extra"] = log_extra
    result = reward(completions=list(completions), **columns)
    if not is_async(reward):
        return result
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, result).result()


def as_completion(row: Row, text: str) -> Completion:
    """A text in the form of the row's prompt: a message if that is a list of messages."""
    return [{"role": "assistant", "content": text}] if isinstance(row.get("prompt"), list) else text


def checked_rewards(rewards: Any, num_completions: int) -> list[float | None]:
    """Rewards as floats, None and NaN as None; a ValueError says what was returned instead."""
    if isinstance(rewards, str | Mapping) or not isinstance(rewards, Iterable):
        raise ValueError(
            f"returned {type(rewards).__name__} {rewards!r:.80}, expected a list of {num_completions} rewards"
        )
    rewards = list(rewards)
    if len(rewards) != num_completions:
        raise WrongNumberError(f"returned {len(rewards)} rewards for {num_completions} completions")
    checked: list[float | None] = []
    for reward in rewards:
        try:
            value = math.nan if reward is None else float(reward)
        except (TypeError, ValueError) as error:
            raise _not_a_number(reward) from error
        if isinstance(reward, str):
            raise _not_a_number(reward)
        if math.isinf(value):
            raise ValueError(f"returned {value} as a reward, expected a finite number or None")
        checked.append(None if math.isnan(value) else value)
    return checked


def _not_a_number(reward: Any) -> ValueError:
    kind = type(reward).__name__
    return ValueError(f"returned {reward!r:.80} ({kind}) as a reward, expected a number or None")


class _HeldLog:
    """Columns whose `log_extra` and `log_metric` are held back until the batch is known to have succeeded."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._held: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.columns = dict(columns)
        for key in ("log_extra", "log_metric"):
            if key in columns:
                self.columns[key] = functools.partial(self._hold, columns[key])

    def _hold(self, log: Callable[..., None], name: str, value: Any) -> None:
        self._held.append((log, (name, value)))

    def release(self) -> None:
        for log, args in self._held:
            log(*args)


def _attempt(
    reward: Reward, completions: list[Completion], columns: Mapping[str, Any]
) -> list[float | None] | Exception:
    try:
        return checked_rewards(reward(completions=completions, **columns), len(completions))
    except Exception as error:  # grading model output: untrusted; the guard counts it
        return error


async def _attempt_async(
    reward: Reward, completions: list[Completion], columns: Mapping[str, Any]
) -> list[float | None] | Exception:
    try:
        return checked_rewards(await reward(completions=completions, **columns), len(completions))
    except Exception as error:  # as in _attempt
        return error


def _single_rows(
    completions: list[Completion], columns: Mapping[str, Any]
) -> Iterator[tuple[list[Completion], dict[str, Any]]]:
    """The batch as batches of one; a column is a list as long as the batch, all else goes along whole."""
    for i, completion in enumerate(completions):
        row = {
            key: [value[i]] if isinstance(value, list) and len(value) == len(completions) else value
            for key, value in columns.items()
        }
        yield [completion], row


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    """What TRL passes beside the completions, for a few rows outside of a run."""
    columns: dict[str, Any] = (
        {key: [row[key] for row in rows] for key in rows[0] if key not in _NOT_COLUMNS} if rows else {}
    )
    return columns | {
        "prompts": [row.get("prompt", "") for row in rows],
        "completion_ids": [[0] for _ in rows],
        "trainer_state": SimpleNamespace(global_step=0, max_steps=1, epoch=0.0),
        "log_extra": lambda column, values: None,
        "log_metric": lambda name, value: None,
    }
