"""How many completions a second does the math reward grade?

    python scripts/bench_verify.py gsm8k/test.jsonl math500/test.jsonl [--json out.json]

Makes completions from the golds (column `answer`) of data files, some 200 words of text around each answer:
the gold as it is, the gold written otherwise (`+0`, `\\dfrac`), and another row's gold. Reports items a
second and processor milliseconds an item, all processes together, for

- ordinary: these completions, as `accuracy` grades them, most numbers without math-verify;
- groups: the same in groups of 8 with three different answers, as in GRPO;
- math-verify: only the pairs that need it, each once.

The workers run before the clock does; the best of several repeats is given.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from rewards.math_answer import accuracy
from rlkit.prompts.files import read_rows
from rlkit.verify.answers import find_gold
from rlkit.verify.equivalence import POOL, Question
from rlkit.verify.literal import as_gold, normalize, same_as_written
from rlkit.verify.text import Completion

SENTENCE = "First we look at what is given, and then $x_{} = {}$ follows from the equation above. "


def make_answers(gold: str, golds: list[str], rng: random.Random) -> list[str]:
    """The gold, the same written otherwise, and another row's."""
    return [gold, gold.replace("\\frac", "\\dfrac") + "+0", rng.choice(golds)]


def make_completion(answer: str, rng: random.Random) -> str:
    text = "".join(SENTENCE.format(i, rng.randint(2, 99)) for i in range(14))
    return f"{text}So the answer is $\\boxed{{{answer}}}$."


def open_questions(golds: list[str], answers: list[str]) -> list[Question]:
    """The different pairs that only math-verify can decide."""
    pairs = {(normalize(gold), normalize(answer)) for gold, answer in zip(golds, answers, strict=True)}
    return sorted((as_gold(gold), answer) for gold, answer in pairs if same_as_written(gold, answer) is None)


def processor_seconds() -> float:
    """Of this process and all those below it, so far."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def measure(name: str, num_items: int, run: Callable[[], object], repeats: int) -> dict[str, float]:
    best_seconds, cpu_seconds = float("inf"), 0.0
    for _ in range(repeats):
        cpu, start = processor_seconds(), time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        if seconds < best_seconds:
            best_seconds, cpu_seconds = seconds, processor_seconds() - cpu
    rate, cpu_ms = num_items / best_seconds, 1000 * cpu_seconds / num_items
    print(
        f"{name:12} {num_items:6} items {rate:8.0f} items/s {cpu_ms:7.3f} ms of processor an item", flush=True
    )
    return {"num_items": num_items, "items_per_second": rate, "cpu_ms_per_item": cpu_ms}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="data files with a column `answer`")
    parser.add_argument("--limit", type=int, default=500, help="rows of each file")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()

    rng = random.Random(0)
    stated = [
        find_gold(str(row["answer"]))
        for file in arguments.files
        for row in read_rows(file)[: arguments.limit]
    ]
    golds = [gold for gold in stated if gold is not None]
    answers = [make_answers(gold, golds, rng) for gold in golds]
    repeated = [gold for gold in golds for _ in range(3)]
    flat = [answer for row in answers for answer in row]
    texts: list[Completion] = [make_completion(answer, rng) for answer in flat]
    group_texts: list[Completion] = [make_completion(row[i % 3], rng) for row in answers for i in range(8)]
    group_golds = [gold for gold in golds for _ in range(8)]
    questions = open_questions(repeated, flat)

    POOL.ask([("1/2", f"0.5+{n}-{n}") for n in range(8 * len(POOL.workers))])
    print(f"{len(POOL.workers)} workers")
    results = {
        "ordinary": measure("ordinary", len(texts), lambda: accuracy(texts, repeated), arguments.repeats),
        "groups": measure(
            "groups", len(group_texts), lambda: accuracy(group_texts, group_golds), arguments.repeats
        ),
        "math-verify": measure("math-verify", len(questions), lambda: POOL.ask(questions), arguments.repeats),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps({"num_workers": len(POOL.workers), **results}, indent=1))


if __name__ == "__main__":
    main()
