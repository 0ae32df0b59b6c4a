"""The process that runs reasoning-gym's scorers: one JSON line in, one score out.

A line is `[seconds, task, config, entry, answer]`, config and entry packed by inside/channel.py. The library
is imported once, then a fork of this process scores, under a timer of the kernel: a scorer that computes for
ever, or dies, costs its own answer only (null), and the next fork is there in milliseconds. What is wrong
with a row comes back as text.

Some scorers hand the model's answer to `eval` or to SymPy's `parse_expr`, which evaluates it: text such as
`__import__('os').system(...)` would run. Here `eval` is `ast.literal_eval` in these modules, and `parse_expr`
takes numbers, signs, one-letter symbols and the functions of NAMES only.
"""

import ast
import functools
import importlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

from rlkit.verify.inside.channel import unpack

MEMORY_LIMIT_BYTES = 4 * 1024**3
EVALUATING = (  # reasoning_gym 0.1.25
    "algorithmic.binary_matrix",
    "algorithmic.spiral_matrix",
    "algorithmic.string_insertion",
    "games.n_queens",
)
PARSING = ("games.countdown", "games.puzzle24")
NAMES = re.compile(r"a?(sin|cos|tan)h?|sec|csc|cot|exp|log|ln|sqrt|pi|[A-Za-z]", re.ASCII)
Scorer = Callable[[str, dict[str, Any]], float]

_FORMULA = re.compile(r"[\w\s+\-*/^().,!]*", re.ASCII)
_NAME = re.compile(r"[^\W\d]\w*", re.ASCII)
_ATTRIBUTE = re.compile(r"\.\s*[^\W\d]", re.ASCII)


def is_formula(text: str) -> bool:
    """Whether SymPy may evaluate a text: "x*sin(x)/2 + C", but not "x.func" or "open(x)"."""
    names = _NAME.findall(text)
    return (
        _FORMULA.fullmatch(text) is not None
        and _ATTRIBUTE.search(text) is None
        and all(NAMES.fullmatch(name) for name in names)
    )


def disarm() -> None:
    """Take the evaluation of answers out of reasoning-gym's modules, in this process."""
    import sympy

    parse = sympy.parse_expr

    def parse_formula(text: str, *args: Any, **options: Any) -> Any:
        if not is_formula(text):
            raise ValueError(f"not a formula: {text!r:.80}")
        return parse(text, *args, **options)

    sympy.parse_expr = parse_formula
    for name in EVALUATING:
        vars(importlib.import_module(f"reasoning_gym.{name}"))["eval"] = ast.literal_eval
    for name in PARSING:
        vars(importlib.import_module(f"reasoning_gym.{name}"))["parse_expr"] = parse_formula


@functools.lru_cache(maxsize=256)
def scorer(task: str, config: str) -> Scorer:
    """The `score_answer` of a task; some depend on the config that the entry was made with."""
    from reasoning_gym import create_dataset

    return create_dataset(task, **unpack(json.loads(config))).score_answer


def serve(replies: TextIO) -> None:
    """Answer questions until there are no more; the kernel's timer ends this process if one takes long."""
    for line in sys.stdin:
        seconds, task, config, entry, answer = json.loads(line)
        try:
            score, known = scorer(task, config), unpack(json.loads(entry))
        except Exception as error:
            reply = f"{type(error).__name__}: {error}"
        else:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            reply = score_or_none(score, answer, known)
            signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(reply), file=replies, flush=True)


def score_or_none(score: Scorer, answer: str, entry: dict[str, Any]) -> float | None:
    """None where the scorer raises or gives no number: the answer is untrusted."""
    try:
        return float(score(answer, entry))
    except Exception:
        return None


def limit_memory() -> None:
    """Turn runaway allocation into a MemoryError; only Linux enforces the limit on address space."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def main() -> None:
    replies, sys.stdout = sys.stdout, sys.stderr  # some tasks print
    limit_memory()
    disarm()
    print("ready", file=replies, flush=True)
    while True:  # a caller sends one question at a time, so that a fork that dies loses this one only
        if (child := os.fork()) == 0:
            serve(replies)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        print("null", file=replies, flush=True)


if __name__ == "__main__":
    main()
