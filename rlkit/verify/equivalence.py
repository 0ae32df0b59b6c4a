r"""Are two mathematical answers the same? math-verify, in processes of their own, with a time limit.

SymPy can be made to compute for ever (`\boxed{9^{9^{9^9}}}`), also inside one call to C that no exception
interrupts, and math-verify's own limits work in the main thread only. A process can be killed whatever it
does: see math_worker.py. All functions here may be called from any thread, inside an event loop and after a
fork. None of them raises or hangs because of what a model wrote.
"""

import atexit
import json
import os
import queue
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from rlkit.verify.answers import AnswerForm, find_answer, find_gold
from rlkit.verify.decimals import with_decimals_of
from rlkit.verify.literal import as_gold, normalize, same_as_written

SECONDS_PER_ANSWER = 3.0
SECONDS_TO_START = 60.0  # importing SymPy takes about two, and much longer on a busy machine
PATIENCE = SECONDS_PER_ANSWER + 20.0  # with a worker that is asked a question
MAX_WORKERS = 8

Question = tuple[str, str]  # gold, candidate
Reply = bool | None | Literal["killed"]  # None: the gold cannot be parsed; "killed": too slow, or a crash


class MathWorker:
    """One process of math_worker.py, started when needed, also after its death; one question at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: Question) -> Reply:
        """The worker's answer; "killed" when it exceeds SECONDS_PER_ANSWER, or dies of the question."""
        for _ in range(2):  # where all of the worker dies or stops, the question may not have been the cause
            # The worker keeps the limit itself; ours is for one that no longer runs.
            reply = self._exchange(self._running(), question, SECONDS_PER_ANSWER, PATIENCE)
            if reply is not None:
                return json.loads(reply)
            self.close()
        return "killed"

    def close(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)  # with the fork that answers
                self._process.wait()
            self.forget()

    def forget(self) -> None:
        """Leave the process alone, in a fork that has inherited it: the parent still uses it."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        script = str(Path(__file__).with_name("math_worker.py"))
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # so that a fork can close its copy of the pipes without writing anything
            process_group=0,  # an interrupt from the keyboard is for us
        )
        if self._exchange(process, ("1", "1"), SECONDS_PER_ANSWER, SECONDS_TO_START) is None:
            self.close()
            raise RuntimeError(
                f"the math-verify process did not start within {SECONDS_TO_START:.0f} s; "
                f'see what `echo \'[9, "1", "1"]\' | {sys.executable} {script}` prints'
            )
        return process

    def _exchange(
        self, process: subprocess.Popen[bytes], question: Question, limit: float, patience: float
    ) -> bytes | None:
        """Send one line and wait for one; None on a time-out or a dead process."""
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([limit, *question]).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        readable, _, _ = select.select([process.stdout], [], [], patience)
        return process.stdout.readline() or None if readable else None


class MathPool:
    """As many workers as this process has cores to use; a batch is spread over those that are idle."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        self.workers = [MathWorker() for _ in range(num_workers())]
        self._idle: queue.LifoQueue[MathWorker] = queue.LifoQueue()
        for worker in self.workers:
            self._idle.put(worker)

    def after_fork(self) -> None:
        for worker in self.workers:
            worker.forget()
        self.start_afresh()

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """The answers in order; threads wait for the workers, so that one slow question holds up one only."""
        num_threads = min(len(self.workers), len(questions))
        if num_threads < 2:
            return [self._ask(question) for question in questions]
        with ThreadPoolExecutor(num_threads) as threads:
            return list(threads.map(self._ask, questions))

    def close(self) -> None:
        for worker in self.workers:
            worker.close()

    def _ask(self, question: Question) -> Reply:
        worker = self._idle.get()
        try:
            return worker.ask(question)
        except BaseException:  # interrupted: its reply would be taken for the next question's
            worker.close()
            raise
        finally:
            self._idle.put(worker)


def num_workers() -> int:
    """A worker a core that this process may use, shared with its siblings under accelerate; at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MAX_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


POOL = MathPool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.after_fork)


def same_answer(gold: str, text: str, form: AnswerForm = "any") -> bool | None:
    r"""Whether the answer that `text` states equals `gold`; None if `gold` holds no readable answer.

    same_answer("1/2", r"so \boxed{0.5}") is True. A text that states no answer in this form (`find_answer`)
    is wrong, and so is an answer that takes SymPy more than SECONDS_PER_ANSWER.
    """
    return same_answers([gold], [text], form)[0]


def same_answers(golds: Sequence[str], texts: Sequence[str], form: AnswerForm = "any") -> list[bool | None]:
    """`same_answer` of each pair, in order; several cores share the batch; equal pairs are compared once."""
    answers = [find_answer(text, form) for text in texts]
    pairs = [
        (None if (stated := find_gold(gold)) is None else normalize(stated), answer and normalize(answer))
        for gold, answer in zip(golds, answers, strict=True)
    ]
    results = _compare({(gold, answer) for gold, answer in pairs if gold and answer})
    return [None if not gold else False if not answer else results[gold, answer] for gold, answer in pairs]


def equivalent_groups(answers: Sequence[str | None]) -> list[int]:
    """Which answers of one problem are the same: a group's number for each, -1 for None; for majority votes.

    Groups are numbered in order of first appearance: equivalent_groups(["1/2", None, "3", "0.5"]) is
    [0, -1, 1, 0]. An answer joins the first group whose first answer it equals. n different spellings take up
    to n(n+1)/2 comparisons. An answer that takes SymPy too long is alone in its group.
    """
    spellings = [answer and normalize(answer) for answer in answers]
    distinct = list(dict.fromkeys(spelling for spelling in spellings if spelling))
    endless = _endless(distinct)
    cheap = [spelling for spelling in distinct if spelling not in endless]
    same = _compare({(first, second) for i, first in enumerate(cheap) for second in cheap[i + 1 :]})
    leaders: list[str] = []
    group_of: dict[str, int] = {}
    for spelling in distinct:
        known = [i for i, leader in enumerate(leaders) if same.get((leader, spelling))]
        if not known:
            leaders.append(spelling)
        group_of[spelling] = known[0] if known else len(leaders) - 1
    return [group_of[spelling] if spelling else -1 for spelling in spellings]


def _endless(answers: Sequence[str]) -> set[str]:
    """Those that cannot even be compared with 1 in time: each of their pairs would take the whole limit."""
    asked = [answer for answer in answers if same_as_written(answer, "1") is None]
    replies = POOL.ask([(as_gold(answer), "1") for answer in asked])
    return {answer for answer, reply in zip(asked, replies, strict=True) if reply == "killed"}


def _compare(pairs: set[Question]) -> dict[Question, bool | None]:
    """The result for each pair of normalized answers; the workers are asked what does not show at once."""
    results = {pair: same_as_written(*pair) for pair in pairs}
    open_pairs = sorted(pair for pair, result in results.items() if result is None)  # by gold: it is cached
    replies = POOL.ask([(as_gold(with_decimals_of(answer, gold)), answer) for gold, answer in open_pairs])
    for pair, reply in zip(open_pairs, replies, strict=True):
        results[pair] = False if reply == "killed" else reply
    return results
