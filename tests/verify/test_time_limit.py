"""Guards the time limit of rewards: what hangs is ended and counted, and nothing else notices."""

import asyncio
import signal
import threading
import time
from contextlib import suppress

import pytest

from rlkit.verify.rewards import grade, guard
from rlkit.verify.time_limit import TimeLimitError, time_limit

LIMIT = 0.2


def sleeping():
    time.sleep(30)


def looping():
    while True:
        pass


def waiting_for_a_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def swallowing():
    while True:
        with suppress(Exception):
            time.sleep(30)


def waiting_for_threads():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:  # its exit waits again, so that one signal is not enough
        pool.submit(time.sleep, 4).result()


@pytest.mark.parametrize("hang", [sleeping, looping, waiting_for_a_lock, swallowing, waiting_for_threads])
def test_what_hangs_is_ended(hang):
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"took more than 0\.2 s"), time_limit(LIMIT):
        hang()
    assert LIMIT <= time.monotonic() - start < 3.5


def test_what_ends_in_time_is_left_alone():
    before = signal.getsignal(signal.SIGUSR2)
    with time_limit(LIMIT):
        pass
    assert signal.getsignal(signal.SIGUSR2) == before
    time.sleep(2 * LIMIT)  # no signal comes later


def test_limits_of_the_functions_own_go_on_working():
    def alarmed(number, frame):
        raise ValueError("its own limit")

    before = signal.signal(signal.SIGALRM, alarmed)
    try:
        with pytest.raises(ValueError, match="its own limit"), time_limit(5.0):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            time.sleep(3)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_outside_of_the_main_thread_there_is_no_limit():
    done = []

    def limited():
        with time_limit(0.05):
            time.sleep(0.2)
        done.append(True)

    thread = threading.Thread(target=limited)
    thread.start()
    thread.join()
    assert done == [True]


def slow(completions, **columns):
    if "slow" in completions:
        time.sleep(30)
    return [1.0] * len(completions)


async def slow_async(completions, **columns):
    if "slow" in completions:
        await asyncio.sleep(30)
    return [1.0] * len(completions)


@pytest.mark.parametrize("reward", [slow, slow_async])
def test_a_reward_that_hangs_gives_none_for_its_batch_and_is_counted(reward):
    errors = []
    checked = guard(reward, lambda *error: errors.append(error), LIMIT)
    rows = [{"prompt": "?"}] * 3
    start = time.monotonic()
    assert grade(checked, ["a", "slow", "b"], rows) == [None, None, None]
    assert time.monotonic() - start < 5
    (name, num, error), *others = errors
    assert (name, num, others) == (reward.__name__, 3, []) and isinstance(error, TimeoutError)
    assert grade(checked, ["a", "b", "c"], rows) == [1.0, 1.0, 1.0], "the next batch is graded again"
    assert len(errors) == 1


def test_the_limit_holds_for_the_rows_of_a_failing_batch_together():
    def failing(completions, **columns):
        time.sleep(0.15)
        raise ConnectionError("the judge is away")

    errors = []
    start = time.monotonic()
    checked = guard(failing, lambda *error: errors.append(error), 0.5)
    assert grade(checked, ["a"] * 100, [{"prompt": "?"}] * 100) == [None] * 100
    assert time.monotonic() - start < 3 and errors[0][1] == 100
