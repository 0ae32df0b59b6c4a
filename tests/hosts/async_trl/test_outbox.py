"""Guards what goes between the two processes: nobody waits for a reader, nothing ends the thread unseen."""

import asyncio
import threading
from multiprocessing import Pipe

import pytest

from rlkit.hosts.async_trl.messages import Failure, Order
from rlkit.hosts.async_trl.outbox import Outbox


def test_a_reader_that_hangs_holds_up_nobody():
    ours, theirs = Pipe()
    gone = threading.Event()
    outbox = Outbox(ours, gone.set)
    for number in range(100):  # 10 MB, and a pipe holds some hundred KB
        outbox.put_nowait(Order(number, {"prompt": "a" * 100_000}, 4))
    assert theirs.recv().number == 0
    theirs.close()
    assert gone.wait(5)
    outbox.close()


def test_what_cannot_be_pickled_raises_where_it_is_put_and_the_next_goes_out():
    ours, theirs = Pipe()
    outbox = Outbox(ours, lambda: None)
    with pytest.raises(Exception, match="pickle"):
        outbox.put_nowait(Order(0, {"prompt": lambda: None}, 4))
    outbox.put_nowait(Failure(0, "lambda"))
    assert theirs.recv() == Failure(0, "lambda")
    outbox.close()


def test_the_siblings_of_a_completion_that_fails_are_ended():
    from rlkit.hosts.async_trl.loop import all_or_none

    ended = []

    async def completes(number: int) -> int:
        try:
            await asyncio.sleep(0 if number < 2 else 60)
        finally:
            ended.append(number)
        if number == 1:
            raise ConnectionError("no server")
        return number

    async def run() -> None:
        with pytest.raises(ConnectionError, match="no server"):
            await all_or_none([completes(number) for number in range(4)])
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 5))
    assert sorted(ended) == [0, 1, 2, 3]
