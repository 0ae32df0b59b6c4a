"""The rollout process: takes orders, has the server complete them, grades, and sends the outcomes back.

It runs TRL's rollout loop as far as that generates and grades; which prompts come when is the trainer's side.
A group is a task of its own, so that a slow reward holds up no other group, and one that fails is one group.
"""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine
from functools import partial
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import numpy as np
from trl.chat_template_utils import add_response_schema

from rlkit.hosts.async_trl.messages import Failure, GradingErrors, Order, Outcome
from rlkit.hosts.async_trl.outbox import Outbox
from rlkit.hosts.async_trl.places import RolloutGroup, RolloutLoop, leave_trainers_environment
from rlkit.hosts.async_trl.rewards import InThread

ALIVE_SECONDS = 1.0
"""Between two signs of life."""
OWN_ARGUMENTS = ("prompt", "completion", "completion_ids")
"""Columns that rewards get otherwise."""


PLAIN = {"fields": {}}
"""A response template without an anchor, with which TRL takes a reply as text."""


class OrderedLoop(RolloutLoop):
    """TRL's loop over orders in place of a data set.

    Args:
        connection: to the trainer; orders and policy versions come in, outcomes, metrics and signs of life
            (None) go out. Where it ends, so does the process.
        reward_timeout: seconds for a call of a reward; None for no limit.
        token_budget: tokens of the longest row that the update takes; None or 0 for any.
        The others are those of TRL's loop.
    """

    def __init__(
        self,
        connection: Connection,
        reward_funcs: list[Any],
        reward_timeout: float | None,
        token_budget: int | None,
        **settings: Any,
    ):
        self._connection = connection
        self.outbox = Outbox(connection, gone=partial(os._exit, 0))  # the trainer is gone
        self._token_budget = token_budget
        rewards: list[Any] = [InThread(reward, self._tell_errors, reward_timeout) for reward in reward_funcs]
        nothing: Any = SimpleNamespace(value=0)
        read_replies(settings["processing_class"], settings["tools"])
        super().__init__(
            dataset=[],  # type: ignore[arg-type]
            reward_funcs=rewards,
            rollout_buffer=nothing,
            model_version_value=SimpleNamespace(value=0),  # type: ignore[arg-type]
            heartbeat_value=nothing,
            failed_event=nothing,
            exception_info_queue=nothing,
            metrics_queue=self.outbox,  # type: ignore[arg-type]
            **settings,
        )
        self.reward_func_names = [reward.__name__ for reward in self.reward_funcs]  # type: ignore[attr-defined]

    def _tell_errors(self, name: str, num_rows: int, error: Exception) -> None:
        self.outbox.put_nowait(GradingErrors(name, num_rows, repr(error)))

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run_loops(self._stop_event))

    async def _run_loops(self, stop_event: asyncio.Event) -> None:
        import aiohttp  # an extra, which the process that only trains does without

        self._slots = asyncio.Semaphore(self.max_inflight_tasks)
        orders: asyncio.Queue[Order] = asyncio.Queue()
        threading.Thread(target=self._receive, args=(orders,), daemon=True).start()
        connector = aiohttp.TCPConnector(limit=self.max_inflight_tasks)
        session = aiohttp.ClientSession(connector=connector)
        async with session as self.session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._show_life())
            while True:
                tasks.create_task(self._roll_out(await orders.get()))

    def _receive(self, orders: "asyncio.Queue[Order]") -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):  # the trainer is done, or gone
                os._exit(0)
            if isinstance(message, Order):
                self._loop.call_soon_threadsafe(orders.put_nowait, message)
            else:
                self._model_version_value.value = message

    async def _show_life(self) -> None:
        while True:
            self.outbox.put_nowait(None)
            await asyncio.sleep(ALIVE_SECONDS)

    async def _roll_out(self, order: Order) -> None:
        try:
            self.outbox.put_nowait(await self._outcome(order))
        except Exception as error:  # of the server, the chat template, or pickling
            self.outbox.put_nowait(Failure(order.number, f"{type(error).__name__}: {error}"))

    async def _outcome(self, order: Order) -> Outcome:
        start = time.monotonic()
        group = RolloutGroup(
            prompts=[order.row["prompt"]] * order.count,
            reward_kwargs={
                name: [value] * order.count for name, value in order.row.items() if name not in OWN_ARGUMENTS
            },
            completions=[],
            completions_ids=[],
            completions_sequences=[],
            tool_call_counts=[],
            tool_failure_counts=[],
            model_version=self.model_version,
            group_id=order.number,
            env_rewards=[None] * order.count,
            rollout_rewards=[None] * order.count,
        )
        rollouts = await all_or_none([self._complete(order) for _ in range(order.count)])
        for completion, ids, sequences, num_calls, num_failures, _ in rollouts:
            group.completions.append(completion)
            group.completions_ids.append(ids)
            group.completions_sequences.append(sequences)
            group.tool_call_counts.append(num_calls)
            group.tool_failure_counts.append(num_failures)
        graded_from = time.monotonic()
        samples = await self._score_group(group)
        now = time.monotonic()
        fitting = that_fit(samples, self._token_budget)
        self._push_metrics(
            {
                "rollout/score_s": now - graded_from,
                "batch/dropped_oversize_total": float(len(samples) - len(fitting)),
            }
        )
        return Outcome(
            order.number,
            fitting,
            self._rewards(group, samples),
            np.array([len(ids) for ids in group.completions_ids]),
            group.model_version,
            graded_from - start,
            now - graded_from,
        )

    async def _complete(self, order: Order) -> Any:
        async with self._slots:
            tools = {tool.__name__: tool for tool in self.tools}
            return await self._generate_one(order.row["prompt"], tools, self.tools, order.number)

    def _rewards(self, group: Any, samples: list[Any]) -> np.ndarray:
        """Each function's rewards, (F, G), from the metrics of each completion's first row of the update."""
        reward_FG = np.full((len(self.reward_func_names), len(group.completions)), np.nan)
        first = 0
        for position, sequences in enumerate(group.completions_sequences):
            if sequences:
                metrics = samples[first].metrics
                reward_FG[:, position] = [metrics[f"rewards/{name}"] for name in self.reward_func_names]
            first += len(sequences)
        return reward_FG


async def all_or_none(coroutines: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What they return; the first that fails raises, and ends the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def that_fit(samples: list[Any], token_budget: int | None) -> list[Any]:
    """The rows that TRL's batcher takes; it drops the others, and who counts rows would miscount."""
    return [sample for sample in samples if not token_budget or len(sample.input_ids) <= token_budget]


def read_replies(tokenizer: Any, tools: list[Any] | None) -> None:
    """Lets replies of a chat template that TRL does not know be text, where there are no tools to call."""
    if any(getattr(tokenizer, name, None) is not None for name in ("response_template", "response_schema")):
        return
    try:
        add_response_schema(tokenizer)
    except ValueError:
        if tools:
            raise
        tokenizer.response_template = PLAIN


def main(connection: Connection, settings: dict[str, Any]) -> None:
    """The rollout process; ends with the connection."""
    leave_trainers_environment()
    from accelerate.state import PartialState

    PartialState()  # TRL's loggers want it
    OrderedLoop(connection, **settings).run()
