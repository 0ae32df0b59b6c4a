"""An evaluation for test_run.py that kills itself in chunk KILL_AT: killed_eval.py MODEL OUT KILL_AT

At a fraction such as 2.5 it has also written half of the rows of chunk 2.
"""

import os
import signal
import sys
from pathlib import Path

import torch

from rlkit.evaluate import store
from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import Settings, Task
from rlkit.evaluate.problems import load_problems
from rlkit.evaluate.run import evaluate

SETTINGS = Settings(num_samples=2, batch_size=6, seed=3)
BENCHMARK = Benchmark(
    name="sums", data="unused", question="{q}", reward="unused", kind="math", max_new_tokens=6
)


def make_task(folder: Path, reward) -> Task:
    data = folder / "sums.jsonl"
    data.write_text("".join(f'{{"q": "{i}+{i}", "answer": "{i % 10}"}}\n' for i in range(10)))
    return Task(BENCHMARK, load_problems(BENCHMARK, data), reward)


def first_digit(completions, answer, **_):
    return [
        float(completion[0]["content"][:1] == gold)
        for completion, gold in zip(completions, answer, strict=True)
    ]


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def main(model: str, out: str, kill_at: str) -> None:
    torch.set_num_threads(1)
    calls = 0

    def reward(**columns):
        nonlocal calls
        calls += 1
        if calls - 1 == float(kill_at):
            kill()
        return first_digit(**columns)

    append = store._append

    def torn_append(path, records):
        records = list(records)
        if path.name == "completions.jsonl" and calls - 0.5 == float(kill_at):
            text = store.to_lines(records)
            with path.open("a") as file:
                file.write(text[: len(text) // 2])
            kill()
        append(path, records)

    store._append = torn_append
    evaluate([model], [make_task(Path(out).parent, reward)], SETTINGS, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
