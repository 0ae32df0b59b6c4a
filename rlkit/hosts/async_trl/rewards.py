"""Reward functions in the rollout process: none ends it, and none holds it up for longer than its limit."""

import asyncio
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from rlkit.verify.guard import OnError, guard
from rlkit.verify.returned import Reward, is_async, reward_name


class InThread:
    """A guarded reward, called in a thread of its own, one batch after the other.

    A call that takes longer than the limit counts as unscorable, and its thread is left behind, since Python
    cannot end it.
    """

    def __init__(self, reward: Reward, on_error: OnError, timeout: float | None):
        self.__name__ = reward_name(reward)
        self._guarded = guard(reward, on_error, timeout)
        self._of_loop = is_async(reward)
        self._on_error, self._timeout = on_error, timeout
        self._thread = ThreadPoolExecutor(1)
        self._turn: asyncio.Lock | None = None

    async def __call__(self, completions: list[Any], **columns: Any) -> list[float | None]:
        if self._of_loop:
            return await self._guarded(completions=completions, **columns)
        self._turn = self._turn or asyncio.Lock()  # of the loop that runs
        async with self._turn:
            loop = asyncio.get_running_loop()
            call = partial(self._guarded, completions=completions, **columns)
            try:
                return await asyncio.wait_for(loop.run_in_executor(self._thread, call), self._timeout)
            except TimeoutError:
                self._thread.shutdown(wait=False)
                self._thread = ThreadPoolExecutor(1)
                error = TimeoutError(f"took more than {self._timeout:g} s")
                self._on_error(self.__name__, len(completions), error)
                return [None] * len(completions)


def check_picklable(kind: str, functions: list[Callable[..., Any]]) -> None:
    """Raises ValueError that names the first of the functions that cannot be sent to the rollout process."""
    for function in functions:
        try:
            pickle.dumps(function)
        except Exception as error:  # objects raise what they like when they are pickled
            raise ValueError(
                f"{kind} {reward_name(function)!r} cannot be pickled ({type(error).__name__}: {error}), and "
                "here it is called in a process of its own; write it as a function at the top of a module, a "
                "functools.partial of one, or an instance of a class there"
            ) from error
