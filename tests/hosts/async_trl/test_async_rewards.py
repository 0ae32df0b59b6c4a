"""Guards grading in the rollout process: a reward that fails or hangs costs its own completions alone."""

import asyncio
import os
import time

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from rlkit.hosts.async_trl.rewards import InThread


def right(completions, **columns):
    return [1.0 for _ in completions]


async def right_async(completions, **columns):
    return [0.5 for _ in completions]


def sleeps_over_nine(completions, **columns):
    if "9" in completions:
        time.sleep(5)
    return right(completions)


def test_calls_that_hang_are_unscorable_and_the_next_ones_go_on():
    told = []
    reward = InThread(sleeps_over_nine, lambda name, num, error: told.append((name, num)), 0.2)

    async def grade():
        return await asyncio.gather(reward(["1", "2"]), reward(["9", "2"]), reward(["3"]))

    start = time.monotonic()
    assert asyncio.run(asyncio.wait_for(grade(), 3)) == [[1.0, 1.0], [None, None], [1.0]]
    assert time.monotonic() - start < 2
    assert told == [("sleeps_over_nine", 2)]


def test_async_rewards_and_failing_ones():
    told = []

    def on_error(name, num, error):
        told.append((name, num, type(error)))

    def fails(completions, **columns):
        raise KeyError("answer")

    assert asyncio.run(InThread(right_async, on_error, 1.0)(["1"])) == [0.5]
    assert asyncio.run(InThread(fails, on_error, 1.0)(["1", "2"])) == [None, None]
    assert told == [("fails", 2, KeyError)]
