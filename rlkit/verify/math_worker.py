"""The process that runs math-verify: one JSON line `[gold, candidate]` in, one JSON line out.

Answers true or false, or null where the gold itself cannot be parsed. Run by rlkit.verify.equivalence, which
sets the time limit and kills this process when it is exceeded; so nothing here needs a signal or a thread. It
stands alone (imports nothing of ours), to start as fast as it can.
"""

import json
import logging
import sys
from collections.abc import Callable

MEMORY_LIMIT_BYTES = 2 * 1024**3  # 9^(10^8) asks for tens of gigabytes before any time limit strikes


def limit_memory() -> None:
    """Turn runaway allocation into a MemoryError; only Linux enforces the limit on address space."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def load_same_answer() -> Callable[[str, str], bool | None]:
    """Import math-verify and return the comparison."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that we turn its own time limits off

    def same_answer(gold: str, candidate: str) -> bool | None:
        parsed = parse(f"\\boxed{{{gold}}}", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
        if not parsed:
            return None
        return verify(parsed, parse(candidate, parsing_timeout=None), timeout_seconds=None)  # pyright: ignore[reportArgumentType]

    return same_answer


def main() -> None:
    limit_memory()
    same_answer = load_same_answer()
    for line in sys.stdin:
        gold, candidate = json.loads(line)
        try:
            result = same_answer(gold, candidate)
        except Exception:  # model output is untrusted: whatever it makes SymPy raise, it is a wrong answer
            result = False
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
