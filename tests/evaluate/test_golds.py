"""Guards the table of benchmarks on real rows: each gold answer earns 1 through the benchmark's own entry.

RLKIT_DATA names a folder with gsm8k/test.jsonl, math500/test.jsonl and so on, as in FILES.
"""

import os
from pathlib import Path

import pytest

from rlkit.evaluate.benchmarks import BENCHMARKS
from rlkit.evaluate.plan import make_task, reward_row
from rlkit.evaluate.problems import make_prompt
from rlkit.prompts.files import read_rows
from rlkit.verify.rewards import as_completion, grade

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("RLKIT_DATA" not in os.environ, reason="RLKIT_DATA names no folder with the data"),
]


def boxed(path):
    def gold(row):
        for name in path.split("."):
            row = row[name]
        return f"So it is $\\boxed{{{row}}}$."

    return gold


def block(row):
    return f"Here:\n```python\n{row['code']}\n```\nDone."


FILES = {
    "gsm8k": ("gsm8k/test.jsonl", 1319, lambda row: row["answer"]),
    "math500": ("math500/test.jsonl", 500, lambda row: row["solution"]),
    "aime24": ("aime24/test.jsonl", 30, boxed("answer")),
    "aime25": ("aime25/test.parquet", 30, boxed("reward_model.ground_truth")),
    "svamp": ("svamp/test.jsonl", 1000, boxed("Answer")),
    "humaneval": ("humaneval/HumanEval.jsonl.gz", 164, lambda row: row["canonical_solution"]),
    "mbpp": ("mbpp/mbpp.jsonl", 500, block),
}
FAILING = {"mbpp": {"367"}}  # its tests need a class that they do not define


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FILES)
def test_every_gold_earns_one(name):
    path, num_problems, gold_of = FILES[name]
    file = Path(os.environ["RLKIT_DATA"]) / path
    benchmark = BENCHMARKS[name]
    task = make_task(benchmark, file)
    assert len(task.problems) == num_problems
    by_question = {}
    for row in read_rows(file):
        if benchmark.id_range is None or 11 <= row["task_id"] <= 510:
            by_question[len(by_question)] = gold_of(row)
    rows = [reward_row(problem, make_prompt(benchmark, problem, chat=True)) for problem in task.problems]
    completions = [as_completion(row, by_question[i]) for i, row in enumerate(rows)]
    rewards = grade(task.reward, completions, rows)
    wrong = {problem.id for problem, reward in zip(task.problems, rewards, strict=True) if reward != 1}
    assert wrong == FAILING.get(name, set())
    if benchmark.kind == "math":
        wrongs = grade(task.reward, [as_completion(row, "\\boxed{-987654}") for row in rows], rows)
        assert wrongs == [0.0] * num_problems
