"""Columns by name, also inside of others: "reward_model.ground_truth" is a key of the objects of a column."""

from collections.abc import Mapping
from typing import Any


def has_column(row: Mapping[str, Any], name: str) -> bool:
    """has_column({"reward_model": {"ground_truth": "5"}}, "reward_model.ground_truth") -> True"""
    return name in row or all(found for _, found in _steps(row, name))


def value_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of a column, by its own name or by keys between dots; None where one is not there."""
    if name in row:
        return row[name]
    return _steps(row, name)[-1][0]


def _steps(row: Mapping[str, Any], name: str) -> list[tuple[Any, bool]]:
    """What each key leads to, and whether it was there."""
    steps: list[tuple[Any, bool]] = []
    value: Any = row
    for key in name.split("."):
        found = isinstance(value, Mapping) and key in value
        value = value[key] if found else None
        steps.append((value, found))
    return steps


def with_columns(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """The row with more columns: `columns` are their names and where their values are."""
    return {**row, **{name: value_of(row, column) for name, column in columns.items()}}


def parse_columns(pairs: list[str], option: str) -> dict[str, str]:
    """parse_columns(["answer=gold"], "columns") -> {"answer": "gold"}; a ValueError names `option`."""
    columns = {}
    for text in pairs:
        argument, sign, column = text.partition("=")
        if not (argument and sign and column):
            raise ValueError(f"{option} {text!r} must be ARGUMENT=COLUMN, such as answer=gold")
        columns[argument] = column
    return columns
