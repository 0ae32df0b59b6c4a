"""Grade a file of completions with a reward, outside of training: batch by batch, failures row by row."""

import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.settings.columns import has_column, value_of
from rlkit.verify.golds import gold_text
from rlkit.verify.rewards import Reward, as_completion, checked_rewards, grade, reward_name
from rlkit.verify.sandbox import NoSandboxError

BATCH_SIZE = 256
OUTPUT_SUFFIXES = (".jsonl", ".json", ".parquet")
_GIVEN = ("completions", "prompts", "completion_ids", "trainer_state", "log_extra", "log_metric")


@dataclass(frozen=True)
class Grade:
    """What a reward gave a row: a number, None for unscorable, or None with the text of its error.

    `why` is what the reward itself says about a number below 1 or a None (its log's column reward_error).
    """

    reward: float | None
    error: str | None = None
    why: str | None = None


def prepare_rows(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], reward: Reward
) -> list[dict[str, Any]]:
    """Rows as the reward takes them: every one with the same columns, some of them under another name.

    Args:
        rows: as read from a file; a column that a row lacks is None there.
        columns: argument of the reward -> the column that holds it; "a.b" is key b of column a's objects.
        reward: for its parameters without a default, which must be columns.

    Raises ValueError for a column that no row has.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    prepared = [{name: row.get(name) for name in names} for row in rows]
    for argument, column in columns.items():
        outer = column.split(".")[0]
        if column not in names and outer not in names:
            raise ValueError(f"column {column!r} (of {argument}={column}) is not in the data; it has {names}")
        for row in prepared:
            row[argument] = value_of(row, column)
    missing = [name for name in _required(reward) if name not in {*names, *columns}]
    if missing:
        raise ValueError(
            f"reward {reward_name(reward)!r} needs the column {missing[0]!r}, which the data does not have; "
            f"it has {names}; name the one that holds it with --column {missing[0]}=COLUMN"
        )
    return prepared


def completions_of(rows: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
    """The rows' completions, each text or a list of messages; a ValueError names a row without one."""
    for number, row in enumerate(rows, start=1):
        if not has_column(row, column):
            raise ValueError(
                f"completion column {column!r} is not in the data; it has {list(row)}; name the one that "
                "holds the completions with --completion-column"
            )
        value = value_of(row, column)
        messages = isinstance(value, list) and all(isinstance(message, Mapping) for message in value)
        if not isinstance(value, str) and not (messages and value):
            raise ValueError(
                f"row {number}: column {column!r} must hold text or a list of messages, one completion a row,"
                f" not {value!r:.80}"
            )
    return [value_of(row, column) for row in rows]


def grade_rows(
    reward: Reward, rows: Sequence[Mapping[str, Any]], completions: Sequence[Any]
) -> Iterator[list[Grade]]:
    """Grade BATCH_SIZE rows at a time; where the reward fails on a batch, that batch is graded row by row."""
    for start in range(0, len(rows), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        yield _grade_batch(reward, rows[part], completions[part])


def grade_golds(reward: Reward, rows: Sequence[Mapping[str, Any]], gold_column: str) -> Iterator[list[Grade]]:
    """As `grade_rows`, with each row's own gold as its completion, bare, then where that earns less boxed."""
    if not has_column(rows[0], gold_column):
        raise ValueError(
            f"gold column {gold_column!r} is not in the data; it has {list(rows[0])}; name the one that "
            "holds the golds with --gold-column"
        )
    starts = range(0, len(rows), BATCH_SIZE)
    return (_grade_gold_batch(reward, rows[start : start + BATCH_SIZE], gold_column) for start in starts)


class GradeWriter:
    """The graded rows on disk: first line by line in a file beside the output, which it becomes at the end.

    The output is there as a whole or not at all. An interrupted grading leaves `partial`, one JSON object a
    line; the next grading into the same output starts it again.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in OUTPUT_SUFFIXES:
            raise ValueError(
                f"output {path} must be one of {', '.join(OUTPUT_SUFFIXES)}; its suffix is {path.suffix!r}"
            )
        self.path = path
        self.partial = path.with_name(path.name + ".partial.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.partial.unlink(missing_ok=True)

    def write(self, rows: Sequence[Mapping[str, Any]], grades: Sequence[Grade]) -> None:
        """Append rows with their `reward` and `reward_error`, in place of columns of these names."""
        lines = (
            json.dumps(_graded(row, grade), default=str) for row, grade in zip(rows, grades, strict=True)
        )
        with self.partial.open("ab") as file:  # one write: who is killed leaves no part of a batch
            file.write("".join(f"{line}\n" for line in lines).encode())

    def finish(self, rows: Sequence[Mapping[str, Any]], grades: Sequence[Grade]) -> None:
        """Put the output in its place, given all rows and grades."""
        if self.path.suffix == ".jsonl":
            os.replace(self.partial, self.path)
            return
        graded = [_graded(row, grade) for row, grade in zip(rows, grades, strict=True)]
        temporary = self.path.with_name(self.path.name + ".partial")
        try:
            (_write_json if self.path.suffix == ".json" else _write_parquet)(temporary, graded)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"the graded rows do not fit into {self.path} ({error}); they are in {self.partial}"
            ) from error
        os.replace(temporary, self.path)
        self.partial.unlink()


def _grade_gold_batch(reward: Reward, rows: Sequence[Mapping[str, Any]], gold_column: str) -> list[Grade]:
    golds = [gold_text(value_of(row, gold_column)) for row in rows]
    grades = _grade_batch(
        reward, rows, [as_completion(row, gold) for row, gold in zip(rows, golds, strict=True)]
    )
    failing = [i for i, grade in enumerate(grades) if grade.reward is None or grade.reward < 1]
    boxed = [as_completion(rows[i], f"\\boxed{{{golds[i]}}}") for i in failing]
    again = _grade_batch(reward, [rows[i] for i in failing], boxed) if failing else []
    for i, second in zip(failing, again, strict=True):
        if second.reward == 1:
            grades[i] = second
    return grades


def _grade_batch(
    reward: Reward, rows: Sequence[Mapping[str, Any]], completions: Sequence[Any]
) -> list[Grade]:
    reasons: list[Any] = [None] * len(rows)

    def log_extra(column: str, values: list[Any]) -> None:
        if column == "reward_error" and len(values) == len(rows):
            reasons[:] = values

    try:
        values = checked_rewards(grade(reward, completions, rows, log_extra=log_extra), len(rows))
        return [Grade(value, None, why) for value, why in zip(values, reasons, strict=True)]
    except NoSandboxError:  # true of every row: nothing can be graded here
        raise
    except Exception as error:  # grading model output: untrusted; the error is the row's result
        if len(rows) == 1:
            return [Grade(None, f"{type(error).__name__}: {error}")]
    return [
        _grade_batch(reward, [row], [completion])[0]
        for row, completion in zip(rows, completions, strict=True)
    ]


def _required(reward: Reward) -> list[str]:
    """The reward's parameters that must be columns: those without a default that TRL does not give."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, parameter in inspect.signature(reward).parameters.items()
        if parameter.kind in kinds and parameter.default is parameter.empty and name not in _GIVEN
    ]


def _graded(row: Mapping[str, Any], grade: Grade) -> dict[str, Any]:
    return {**row, "reward": grade.reward, "reward_error": grade.error or grade.why}


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, default=str, indent=1), encoding="utf-8")


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
