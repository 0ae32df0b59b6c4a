r"""Are two mathematical answers the same? math-verify, in a process of its own, with a time limit.

SymPy can be made to compute for ever (`\boxed{9^{9^{9^9}}}`), also inside one call to C that no signal
interrupts, and math-verify's own limits work in the main thread only. A separate process can be killed from
any thread.
"""

import atexit
import json
import os
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

SECONDS_PER_ANSWER = 3.0
SECONDS_TO_START = 60.0  # importing SymPy takes about a second, and much longer on a busy machine
MAX_ANSWER_CHARS = 400  # a longer final answer is wrong; of a text without a box, its end is searched
_INTEGER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)", re.ASCII)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


class MathWorker:
    """One math-verify process, started when needed, also after a kill or a fork; one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0
        self.num_timeouts = 0

    def ask(self, gold: str, candidate: str) -> bool | None:
        """The worker's answer; False when it exceeds SECONDS_PER_ANSWER, or dies of the question."""
        with self._lock:
            process = self._running()
            try:
                reply = self._exchange(process, [gold, candidate], SECONDS_PER_ANSWER)
            except BaseException:  # interrupted: the reply would be taken for the next question's
                self._kill()
                raise
            if reply is None:
                self.num_timeouts += 1
                self._kill()
                return False
            return json.loads(reply)

    def close(self) -> None:
        with self._lock:
            self._kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner_pid == os.getpid() and self._process.poll() is None:
            return self._process
        script = str(Path(__file__).with_name("math_worker.py"))
        process = subprocess.Popen(
            [sys.executable, "-P", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._process, self._owner_pid = process, os.getpid()
        if self._exchange(process, ["1", "1"], SECONDS_TO_START) is None:
            self._kill()
            raise RuntimeError(
                f"the math-verify process did not start within {SECONDS_TO_START:.0f} s; "
                f'see what `echo \'["1", "1"]\' | {sys.executable} {script}` prints'
            )
        return process

    def _exchange(
        self, process: subprocess.Popen[bytes], question: list[str], seconds: float
    ) -> bytes | None:
        """Send one line and wait for one; None on a time-out or a dead process."""
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        readable, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() or None if readable else None

    def _kill(self) -> None:
        if self._process is not None and self._owner_pid == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None


WORKER = MathWorker()
atexit.register(WORKER.close)


def same_answer(gold: str, text: str) -> bool | None:
    r"""Whether the last answer in `text` equals `gold`; None if `gold` is not an answer that can be parsed.

    The answer is the content of the last `\boxed{}`, else what follows the last `####`, else what math-verify
    finds in the end of the text: same_answer("1/2", r"so \boxed{0.5}") is True. Neither side may exceed
    MAX_ANSWER_CHARS.
    """
    stated_gold = final_answer(gold)
    gold = gold.strip() if stated_gold is None else stated_gold
    if not gold or len(gold) > MAX_ANSWER_CHARS:
        return None
    answer = final_answer(text)
    if answer is None:
        return WORKER.ask(gold, text[-MAX_ANSWER_CHARS:])
    if not answer or len(answer) > MAX_ANSWER_CHARS:
        return False
    if _INTEGER.fullmatch(gold) and _INTEGER.fullmatch(answer):  # most answers; a thousand times as fast
        return _to_int(gold) == _to_int(answer)
    return WORKER.ask(gold, f"\\boxed{{{answer}}}")


def final_answer(text: str) -> str | None:
    r"""What the last `\boxed{...}` of a text holds, else what follows its last `####`; None if neither.

    final_answer(r"\boxed{\frac{1}{2}}.") is r"\frac{1}{2}"; final_answer("2+2=4\n#### 4") is "4". A box that
    is not closed (a truncated text) or that is longer than an answer may be holds "".
    """
    start = text.rfind("\\boxed{")
    if start >= 0:
        start += len("\\boxed{")
        end = closing_brace(text, start)
        return "" if end is None else text[start:end].strip()
    _, mark, answer = text.rpartition("####")
    return answer.strip() if mark else None


def closing_brace(text: str, start: int) -> int | None:
    r"""The position of the `}` closing the group whose content begins at `start`; `\{` and `\}` do not count.

    None if it is not closed within MAX_ANSWER_CHARS, so that a hostile text costs no more than an honest one.
    """
    depth = 1
    for match in _BRACE.finditer(text, start, start + MAX_ANSWER_CHARS + 1):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return None


def _to_int(text: str) -> int:
    return int(text.replace(",", ""))
