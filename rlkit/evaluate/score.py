"""Offline success rates: what a model gets of each row of a data set, as columns for the static curricula.

    pass_rate     mean reward of the samples, each clipped to 0 to 1: of rewards 0 and 1 the share of 1.
                  A sample without a reward counts as 0; a row that cannot be scored at all has none (null)
    reward_std    standard deviation of the samples' rewards as they are (the population's), null likewise
    num_samples   completions behind these
    mean_tokens   generated tokens of a completion

A rate of n samples is off by up to sqrt(1 / 4n), and holds for the model that made it.
"""

import json
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import Settings, Task
from rlkit.evaluate.problems import Problem
from rlkit.evaluate.rows import Row
from rlkit.evaluate.run import evaluate
from rlkit.evaluate.store import read_rows as read_completions
from rlkit.evaluate.store import to_lines, write_whole
from rlkit.prompts.files import read_rows, to_prompt_rows
from rlkit.verify.load import load_reward
from rlkit.verify.rewards import check_reward

COLUMNS = pa.schema(
    [
        ("pass_rate", pa.float64()),
        ("reward_std", pa.float64()),
        ("num_samples", pa.int64()),
        ("mean_tokens", pa.float64()),
    ]
)


def score(
    model: str,
    data: Path,
    output: Path,
    settings: Settings,
    reward: str,
    max_new_tokens: int = 512,
    prompt_column: str = "question",
    system_prompt: str | None = None,
    instruction: str | None = None,
    limit: int | None = None,
    right: Path | None = None,
) -> pa.Table:
    """Sample and grade every row of a data file, and write the file with COLUMNS added (or replaced).

    Completions are kept in `<output>.partial/` until all are there, so that a run that was killed goes on;
    the output appears whole. Its metadata (key `rlkit`) says how it was made.

    Args:
        data: .jsonl, .json or .parquet; rows have a `prompt`, or text in `prompt_column`, from which the
            prompt is made as recipes/grpo.py does it.
        right: a .jsonl file that gets the right completions (reward of at least 1), each text once a row,
            as TRL's `prompt` and `completion` beside the row's other columns.
        reward: "path/to/file.py:function" or "package.module:function".

    Raises:
        ValueError: before a model loads, for an output that exists and whatever `evaluate` refuses.
    """
    if output.suffix != ".parquet":
        raise ValueError(f"output {output} must end in .parquet")
    if output.exists():
        raise ValueError(f"output {output} exists; delete it, or name another")
    if limit is not None and limit < 1:
        raise ValueError(f"limit ({limit}) must be at least 1")
    rows = read_rows(data)[:limit]
    asked = rows if "prompt" in rows[0] else to_prompt_rows(rows, prompt_column, system_prompt, instruction)
    table = _table(data, rows, limit)
    task = _task(data, asked, reward, max_new_tokens)
    partial = output.with_name(f"{output.name}.partial")
    (result,) = evaluate([model], [task], settings, partial)
    completions = read_completions(result.folder / "completions.jsonl")
    manifest = json.loads((result.folder / "manifest.json").read_text())

    if right is not None:
        write_whole(right, to_lines(right_rows(asked, completions)))
    table = table.replace_schema_metadata({"rlkit": json.dumps(manifest)})
    for name, values in zip(COLUMNS.names, zip(*success_rates(completions), strict=True), strict=True):
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(COLUMNS.field(name), pa.array(values, COLUMNS.field(name).type))
    temporary = partial / output.name
    pq.write_table(table, temporary)
    temporary.replace(output)
    shutil.rmtree(partial)
    return table


def _task(data: Path, rows: list[dict[str, Any]], reward: str, max_new_tokens: int) -> Task:
    """The rows as a benchmark's problems, their prompts used as they are."""
    function = load_reward(reward)
    check_reward(function, rows)
    benchmark = Benchmark(
        name="score", reward=reward, prompt="prompt", data=str(data), max_new_tokens=max_new_tokens
    )
    problems = []
    for position, row in enumerate(rows):
        if not isinstance(row.get("prompt"), str | list):
            raise ValueError(
                f"{data}: row {position} has no `prompt` of text or messages: {row.get('prompt')!r:.80}"
            )
        problems.append(Problem(str(position), "", row["prompt"], row))
    return Task(benchmark, problems, function)


def success_rates(completions: list[Row]) -> Iterator[tuple[float | None, float | None, int, float]]:
    """The values of COLUMNS for each problem, in order."""
    for _, group in groupby(completions, key=lambda row: row.problem):
        samples = list(group)
        tokens = float(np.mean([row.num_tokens for row in samples]))
        rewards = np.array([0.0 if row.reward is None else row.reward for row in samples])
        if samples[0].scorable:
            yield float(np.clip(rewards, 0, 1).mean()), float(rewards.std()), len(samples), tokens
        else:
            yield None, None, len(samples), tokens


def right_rows(rows: list[dict[str, Any]], completions: list[Row]) -> Iterator[dict[str, Any]]:
    """Rows to learn from, one for each different right completion; messages where the prompt has messages."""
    seen: set[tuple[str, str]] = set()
    for row in completions:
        if row.correct and (row.problem, row.completion) not in seen:
            seen.add((row.problem, row.completion))
            asked = rows[int(row.problem)]
            said = row.completion
            talks = isinstance(asked["prompt"], list)
            yield {**asked, "completion": [{"role": "assistant", "content": said}] if talks else said}


def _table(data: Path, rows: list[dict[str, Any]], limit: int | None) -> pa.Table:
    """The data file's rows with all their columns; types stay those of a Parquet file."""
    if data.suffix == ".parquet":
        return pq.read_table(data)[:limit]
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return pa.table({name: [row.get(name) for row in rows] for name in names})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(
            f"{data}: a column's values are of several types, which Parquet does not take: {error}"
        ) from error
