"""Demonstrations: a column of the data with a completion that solves the row's prompt, checked before use."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.prompts.pool import PromptPool

logger = logging.getLogger(__name__)

AT_ONCE = 256
"""Rows of a call of the reward."""
Grade = Callable[[list[Any], list[dict[str, Any]]], Sequence[float | None]]
"""Rewards of completions, one a row; None for unscorable."""
Fits = Callable[[list[dict[str, Any]], list[Any]], Sequence[bool]]
"""Whether each row's prompt with a completion fits into the context."""


def accepted_demonstrations(pool: PromptPool, column: str, grade: Grade, above: float) -> set[str]:
    """Keys of the prompts whose demonstration earns more than `above`; the others are counted in a warning.

    Raises:
        ValueError: there is no such column, it is empty, a demonstration has not the form of its prompt, or
            the reward rejects more than half of them.
    """
    if column not in pool.column_names:
        raise ValueError(
            f"demonstration_column ({column!r}) is not in the data; its columns are "
            f"{', '.join(pool.column_names)}; add demonstrations, or name the column that has them"
        )
    num, rejected, accepted = 0, [], set()
    for start in range(0, len(pool), AT_ONCE):
        index_N = np.arange(start, min(start + AT_ONCE, len(pool)))
        given = [
            (str(pool.key_N[index]), row)
            for index, row in zip(index_N.tolist(), pool.take(index_N), strict=True)
            if row[column]
        ]
        num += len(given)
        for key, row in given:
            _check_form(key, row, column)
        rewards = grade([row[column] for _, row in given], [row for _, row in given]) if given else []
        for (key, _), reward in zip(given, rewards, strict=True):
            if reward is not None and reward > above:
                accepted.add(key)
            else:
                rejected.append(key)
    if num == 0:
        raise ValueError(f"demonstration_column ({column!r}) is empty in every row; add demonstrations")
    if rejected:
        _tell(rejected, num, column)
    return accepted


def _check_form(key: str, row: dict[str, Any], column: str) -> None:
    messages, plain = isinstance(row["prompt"], list), isinstance(row[column], str)
    if messages == plain:
        has, wants = ("messages", "a list of messages") if messages else ("text", "text")
        raise ValueError(
            f"demonstration_column ({column!r}): the prompt with key {key} is {has}, its demonstration "
            f"{'text' if plain else type(row[column]).__name__}; give {wants}"
        )


def _tell(rejected: list[str], num: int, column: str) -> None:
    summary = (
        f"the reward rejects {len(rejected)} of {num} demonstrations in {column!r}; keys of prompts: "
        f"{_listed(rejected)}"
    )
    if len(rejected) > num / 2:
        raise ValueError(
            f"{summary}; that is more than half: give a reward that fits them, or name another column "
            "(demonstration_column)"
        )
    logger.warning("%s; these are not used", summary)


def fitting_demonstrations(pool: PromptPool, column: str, accepted: set[str], fits: Fits) -> set[str]:
    """Those of the accepted prompts whose demonstration fits into the context behind them; the others are
    counted in a warning.

    Raises:
        ValueError: more than half do not fit.
    """
    long = []
    for start in range(0, len(pool), AT_ONCE):
        index_N = np.arange(start, min(start + AT_ONCE, len(pool)))
        keys = pool.key_N[index_N].astype(str).tolist()
        given = [pair for pair in zip(keys, pool.take(index_N), strict=True) if pair[0] in accepted]
        rows = [row for _, row in given]
        fitting = fits(rows, [row[column] for row in rows]) if rows else []
        long += [key for (key, _), fit in zip(given, fitting, strict=True) if not fit]
    if long:
        summary = (
            f"{len(long)} of {len(accepted)} demonstrations in {column!r} are with their prompt longer than "
            f"the context; keys of prompts: {_listed(long)}"
        )
        if len(long) > len(accepted) / 2:
            raise ValueError(
                f"{summary}; that is more than half: shorten them, or take a model of more context"
            )
        logger.warning("%s; these are not used", summary)
    return accepted - set(long)


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:10]) + (", ..." if len(keys) > 10 else "")
