"""The process that runs math-verify: one JSON line `[seconds, gold, candidate]` in, one JSON line out.

Answers true or false, null where the gold itself cannot be parsed, and "killed" where the question took more
than its seconds or brought the process down. SymPy and math-verify are imported once, then a fork of this
process answers the questions, under a timer of the kernel: SymPy can compute for ever inside one call to C,
which no exception interrupts. When the fork dies, only its question is lost and the next fork is there in
milliseconds. A question that the caller no longer waits for ends in the same way.

Run by rlkit.verify.equivalence. It stands alone (imports nothing of ours), to start as fast as it can.
"""

import json
import logging
import mmap
import os
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MEMORY_LIMIT_BYTES = 2 * 1024**3  # 9^(10^8) asks for tens of gigabytes before any time limit strikes
OUT_OF_MEMORY = 3  # exit status: answered, but start again with a clean heap
# The parser is slow on what it has not seen before; each fork starts with what these have taught it.
WARM_UP = (
    r"\frac{1}{2}",
    r"-\frac{\sqrt{3}}{2}",
    r"x=5",
    r"x^2+2x-1",
    r"(1,2]",
    r"(1, 2, -3)",
    r"\{1,2\}",
    r"1,2,3",
    r"2\pi+0.5",
    r"\begin{pmatrix} 1 \\ -2 \end{pmatrix}",
    r"12\text{ cm}",
    r"30^\circ",
    r"(-\infty, 2) \cup (3, \infty)",
    r"2 \pm \sqrt{5}",
    r"3 \times 10^{4}",
    r"\text{east}",
)


def limit_memory() -> None:
    """Turn runaway allocation into a MemoryError; only Linux enforces the limit on address space."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def load_same_answer() -> Callable[[str, str], bool | None]:
    """Import math-verify and return the comparison."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that we turn its own time limits off

    @lru_cache(maxsize=256)  # the completions of a group share their gold
    def parsed(answer: str) -> list[Any]:
        return parse(f"\\boxed{{{answer}}}", parsing_timeout=None)  # pyright: ignore[reportArgumentType]

    def same_answer(gold: str, candidate: str) -> bool | None:
        if not parsed(gold):
            return None
        return verify(parsed(gold), parsed(candidate), allow_set_relation_comp=True, timeout_seconds=None)

    return same_answer


def serve(same_answer: Callable[[str, str], bool | None], busy: mmap.mmap) -> None:
    """Answer questions until standard input ends. `busy` is 1 while one is being answered."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, also inside a call to C
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    for line in sys.stdin:
        seconds, gold, candidate = json.loads(line)
        busy[0] = 1
        signal.setitimer(signal.ITIMER_REAL, seconds)
        out_of_memory = False
        try:
            result = same_answer(gold, candidate)
        except MemoryError:
            result, out_of_memory = False, True
        except Exception:  # model output is untrusted: whatever it makes SymPy raise, it is a wrong answer
            result = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        busy[0] = 0
        print(json.dumps(result), flush=True)
        if out_of_memory:
            os._exit(OUT_OF_MEMORY)


def main() -> None:
    limit_memory()
    same_answer = load_same_answer()
    for answer in WARM_UP:
        same_answer(answer, answer + "+1")
    busy = mmap.mmap(-1, 1)  # shared with the fork
    while True:
        child = os.fork()
        if child == 0:
            serve(same_answer, busy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:  # standard input has ended
            return
        if busy[0]:
            busy[0] = 0
            print(json.dumps("killed"), flush=True)


if __name__ == "__main__":
    main()
