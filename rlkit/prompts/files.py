"""Data files as rows, and rows as prompts."""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rlkit.settings.columns import has_column, value_of


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl, .jsonl.gz, .json (a list of objects) or .parquet file.

    A ValueError says what is wrong with the file, and in which line.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"data file {path} does not exist (relative paths start at {Path.cwd()})")
    readers = {
        ".jsonl": _read_jsonl,
        ".jsonl.gz": _read_jsonl,
        ".json": _read_json,
        ".parquet": _read_parquet,
    }
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    if suffix not in readers:
        raise ValueError(f"data file {path} must be one of {', '.join(readers)}; its suffix is {suffix!r}")
    try:
        rows = readers[suffix](path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}") from error
    if not rows:
        raise ValueError(f"data file {path} holds no rows")
    return rows


def to_prompt_rows(
    rows: Iterable[Mapping[str, Any]],
    prompt_column: str = "question",
    system_prompt: str | None = None,
    instruction: str | None = None,
) -> list[dict[str, Any]]:
    """Rows with a `prompt` of messages made from a text column; all their columns stay.

    Args:
        rows: such as those of GSM8K, with `question` and `answer`.
        prompt_column: the column that holds the text of the user's message; "a.b" is key b of column a.
        system_prompt: the content of a system message before it; None for no such message.
        instruction: goes below the text in the user's message, such as how to state the answer.
    """
    prompt_rows = []
    system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
    for position, row in enumerate(rows):
        if not has_column(row, prompt_column):
            raise ValueError(f"row {position} has no column {prompt_column!r}; its columns are {sorted(row)}")
        text = value_of(row, prompt_column)
        if not isinstance(text, str):
            raise ValueError(
                f"row {position}: column {prompt_column!r} must hold text, not {type(text).__name__}; "
                "rows whose `prompt` holds messages need no conversion"
            )
        content = text if instruction is None else f"{text}\n\n{instruction}"
        prompt_rows.append({**row, "prompt": [*system, {"role": "user", "content": content}]})
    return prompt_rows


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    rows.append(_parse_object(line, f"{path}, line {number}"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file: {error}") from error
    return rows


def _parse_object(text: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{place}: must be an object such as {{'prompt': ...}}, not {type(row).__name__}")
    return row


def _read_json(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: not JSON: {error}; if it holds one object a line, name it .jsonl"
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: must hold a list of objects")
    return rows


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from error
