"""A benchmark's rows as problems, and problems as prompts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rlkit.evaluate.benchmark import Benchmark
from rlkit.prompts.files import read_rows

Prompt = str | list[dict[str, Any]]
_PLACE = re.compile(r"\{([\w.]+)\}")
_MISSING = object()


@dataclass(frozen=True)
class Problem:
    """One row: what is asked, and what the reward gets. `given` is a prompt to be used as it is."""

    id: str
    question: str
    given: Prompt | None
    columns: Mapping[str, Any]


def load_problems(benchmark: Benchmark, data: Path | None = None, limit: int | None = None) -> list[Problem]:
    """The problems of a benchmark, from `data`, its own file or the Hub, in the order of the rows.

    Raises:
        ValueError: the data cannot be loaded, a row lacks a column, two rows have one id, or none is left.
    """
    rows, place = _load_rows(benchmark, data)
    problems = list(islice(_problems(benchmark, rows, place), limit))
    if not problems:
        raise ValueError(f"benchmark {benchmark.name}: {place} has no row with an id in {benchmark.id_range}")
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise ValueError(
                f"benchmark {benchmark.name}: two rows of {place} have the id {problem.id!r}; "
                "ids must differ, as completions are kept by them"
            )
        seen.add(problem.id)
    return problems


def make_prompt(benchmark: Benchmark, problem: Problem, chat: bool) -> Prompt:
    """Messages for the chat template, or a text with the worked examples for a base model."""
    if problem.given is not None:
        return problem.given
    if chat:
        content = f"{problem.question}\n\n{benchmark.instruction}".rstrip()
        return [{"role": "user", "content": content}]
    shots = [
        benchmark.template.replace("{question}", question) + continuation
        for question, continuation in benchmark.examples
    ]
    return "\n\n".join([*shots, benchmark.template.replace("{question}", problem.question)])


def _load_rows(benchmark: Benchmark, data: Path | None) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The rows, and where they are from, for errors."""
    if data is None and benchmark.data is not None:
        data = Path(benchmark.data)
    if data is not None:
        return read_rows(data), str(data)
    from datasets import load_dataset

    assert benchmark.hub_id is not None  # Benchmark checks it
    try:
        rows = load_dataset(benchmark.hub_id, benchmark.hub_config, split=benchmark.split)
    except Exception as error:  # of the network, the Hub or the data set: whatever it is, a local copy helps
        reason = " ".join(str(error).split())
        raise ValueError(
            f"benchmark {benchmark.name}: {benchmark.hub_id} cannot be loaded from the Hub "
            f"({type(error).__name__}: {reason:.200}); give a local copy: --data {benchmark.name}=FILE"
        ) from error
    return [dict(row) for row in rows], f"{benchmark.hub_id} ({benchmark.split})"  # pyright: ignore


def _problems(benchmark: Benchmark, rows: Sequence[Mapping[str, Any]], place: str) -> Iterator[Problem]:
    for position, row in enumerate(rows):
        found = _first(row, benchmark.id)
        id = str(position) if found is _MISSING else str(found)
        if benchmark.id_range is not None and not _within(id, benchmark.id_range):
            continue
        where = f"benchmark {benchmark.name}: row {position} of {place}"
        yield Problem(
            id,
            _question(benchmark, row, where),
            _given(benchmark, row, where),
            _columns(benchmark, row, where),
        )


def _question(benchmark: Benchmark, row: Mapping[str, Any], where: str) -> str:
    if benchmark.prompt is not None:
        return ""
    templates = (benchmark.question,) if isinstance(benchmark.question, str) else benchmark.question
    for template in templates:
        values = {path: _value(row, path) for path in _PLACE.findall(template)}
        if _MISSING not in values.values():
            text = _PLACE.sub(lambda place, values=values: _text(values[place.group(1)]), template)
            return text.strip("\n").removesuffix(benchmark.instruction).rstrip(" \n")
    raise _missing(row, where, [path for template in templates for path in _PLACE.findall(template)])


def _given(benchmark: Benchmark, row: Mapping[str, Any], where: str) -> Prompt | None:
    if benchmark.prompt is None:
        return None
    value = _value(row, benchmark.prompt)
    if value is _MISSING:
        raise _missing(row, where, [benchmark.prompt])
    if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return value
    raise ValueError(f"{where}: {benchmark.prompt!r} must hold text or messages, not {value!r:.80}")


def _columns(benchmark: Benchmark, row: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not benchmark.columns:
        return dict(row)
    columns = {}
    for argument, paths in benchmark.columns.items():
        columns[argument] = _first(row, paths)
        if columns[argument] is _MISSING:
            raise _missing(row, where, [paths] if isinstance(paths, str) else paths)
    return columns


def _first(row: Mapping[str, Any], paths: str | tuple[str, ...]) -> Any:
    values = (_value(row, path) for path in ((paths,) if isinstance(paths, str) else paths))
    return next((value for value in values if value is not _MISSING), _MISSING)


def _value(row: Any, path: str) -> Any:
    """What is at a path, _MISSING if nothing; "[path]" is a list with that alone."""
    if path.startswith("["):
        value = _value(row, path[1:-1])
        return value if value is _MISSING else [value]
    for name in path.split("."):
        if isinstance(row, Mapping) and name in row:
            row = row[name]
        elif isinstance(row, list) and name.isdigit() and int(name) < len(row):
            row = row[int(name)]
        else:
            return _MISSING
    return row


def _text(value: Any) -> str:
    """A list has a line for each of its items, such as MBPP's tests."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value).strip(" ")


def _within(id: str, bounds: tuple[int, int]) -> bool:
    return id.isdigit() and bounds[0] <= int(id) <= bounds[1]


def _missing(row: Mapping[str, Any], where: str, paths: Sequence[str]) -> ValueError:
    wanted = " or ".join(repr(path) for path in dict.fromkeys(paths) if _value(row, path) is _MISSING)
    return ValueError(f"{where} has no column {wanted}; its columns are {sorted(row)}")
