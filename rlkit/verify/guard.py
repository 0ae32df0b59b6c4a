"""Keeps rewards' failures from ending a run, and what they do to their arguments to themselves."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rlkit.verify.copies import own_arguments, own_data
from rlkit.verify.returned import Reward, WrongNumberError, checked_rewards, is_async, reward_name
from rlkit.verify.text import Completion
from rlkit.verify.time_limit import TimeLimitError, time_limit

OnError = Callable[[str, int, Exception], None]
"""Called with a reward's name, the number of completions that got no reward, and one of the exceptions."""
Outcome = list[float | None] | Exception


def guard(reward: Reward, on_error: OnError, timeout: float | None = None, once: bool = False) -> Reward:
    """The reward, unable to end a run: a failing batch is graded row by row; rows that fail get None.

    Failing is to raise an Exception, or to return something else than one finite number or None a completion.
    A batch with a wrong number of rewards gets None throughout, and so does one that takes more than
    `timeout` seconds: async rewards are cancelled then, others interrupted as far as `time_limit` can. Each
    batch that failed is reported once to `on_error`. What a failing batch has logged through TRL's
    `log_extra` and `log_metric` is dropped, so that no column of the completions table gets rows twice. Every
    call gets copies, so that nothing that it changes reaches another call, reward or completion.

    Args:
        once: each row may be graded only once, as an environment is, and so has a call of its own at once.
    """
    name = reward_name(reward)
    told = _Told(name, on_error)

    def graded(completions: list[Completion], log: "_HeldLog") -> list[float | None]:
        outcome = _attempt(reward, completions, log.columns)
        if not isinstance(outcome, Exception):
            log.release()
            return outcome
        if _is_final(outcome, completions):
            return told.none_of(completions, outcome)
        return told.merged(
            outcome, [_attempt(reward, *row) for row in _single_rows(completions, log.columns)]
        )

    def guarded(completions: list[Completion], **columns: Any) -> list[float | None]:
        try:
            with time_limit(timeout):
                if once:
                    rows = _single_rows(completions, columns)
                    return told.of_rows([_attempt(reward, *row) for row in rows])
                return graded(completions, _HeldLog(columns))
        except TimeLimitError as error:
            return told.none_of(completions, TimeoutError(str(error)))

    async def graded_async(completions: list[Completion], log: "_HeldLog") -> list[float | None]:
        outcome = await _attempt_async(reward, completions, log.columns)
        if not isinstance(outcome, Exception):
            log.release()
            return outcome
        if _is_final(outcome, completions):
            return told.none_of(completions, outcome)
        rows = _single_rows(completions, log.columns)
        return told.merged(outcome, [await _attempt_async(reward, *row) for row in rows])

    async def guarded_async(completions: list[Completion], **columns: Any) -> list[float | None]:
        try:
            async with asyncio.timeout(timeout):
                if once:
                    rows = _single_rows(completions, columns)
                    return told.of_rows([await _attempt_async(reward, *row) for row in rows])
                return await graded_async(completions, _HeldLog(columns))
        except TimeoutError:
            return told.none_of(completions, TimeoutError(f"took more than {timeout:g} s"))

    chosen = guarded_async if is_async(reward) else guarded
    chosen.__name__ = chosen.__qualname__ = name
    return chosen


class _Told:
    """What is left of a batch's rewards where some failed, which it tells of once."""

    def __init__(self, name: str, on_error: OnError) -> None:
        self._name, self._on_error = name, on_error

    def merged(self, batch_error: Exception, outcomes: Sequence[Outcome]) -> list[float | None]:
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        self._on_error(self._name, len(errors), errors[0] if errors else batch_error)
        return [None if isinstance(outcome, Exception) else outcome[0] for outcome in outcomes]

    def none_of(self, completions: list[Completion], error: Exception) -> list[float | None]:
        return self.merged(error, [error] * len(completions))

    def of_rows(self, outcomes: list[Outcome]) -> list[float | None]:
        """Of rows that were graded one by one."""
        error = next((outcome for outcome in outcomes if isinstance(outcome, Exception)), None)
        return [outcome[0] for outcome in outcomes] if error is None else self.merged(error, outcomes)  # type: ignore[index]


def _is_final(outcome: Exception, completions: list[Completion]) -> bool:
    """Grading row by row would say no more."""
    return isinstance(outcome, WrongNumberError) or len(completions) == 1


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


def _attempt(reward: Reward, completions: list[Completion], columns: Mapping[str, Any]) -> Outcome:
    try:
        result = reward(completions=own_data(completions), **own_arguments(columns))
        return checked_rewards(result, len(completions))
    except Exception as error:  # grading model output: untrusted; the guard counts it
        return error


async def _attempt_async(
    reward: Reward, completions: list[Completion], columns: Mapping[str, Any]
) -> Outcome:
    try:
        result = await reward(completions=own_data(completions), **own_arguments(columns))
        return checked_rewards(result, len(completions))
    except Exception as error:  # as in _attempt
        return error
    except asyncio.CancelledError as error:  # the reward's own, where nobody has cancelled this call
        if asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise
        return RuntimeError(f"a call inside was cancelled: {error!r}")


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
