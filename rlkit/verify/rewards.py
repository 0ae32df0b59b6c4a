"""Reward functions outside of a trainer: called as TRL calls them, and checked before training.

A reward is a plain function with TRL's signature, f(completions, **columns) -> one float, or None for
unscorable, a completion; it may be async. Reward models (torch modules) are TRL's own affair and do not come
here.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from rlkit.settings.columns import has_column, value_of
from rlkit.verify.copies import own_arguments, own_data
from rlkit.verify.guard import guard
from rlkit.verify.returned import Reward, checked_rewards, is_async, reward_name
from rlkit.verify.text import Completion

Row = Mapping[str, Any]

NUM_CHECK_ROWS = 4
GOLD_BATCH = 256  # rows a call; the last-resort row-by-row pass then repeats at most this many
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")  # TRL passes these by other names


def check_reward(reward: Reward, rows: Iterable[Row]) -> None:
    """Call a reward on a few rows with a dummy completion; a ValueError if TRL could not use it.

    `rows` have a `prompt` (text or messages) and the columns that the reward will be given.
    """
    sample = list(itertools.islice(rows, NUM_CHECK_ROWS))
    name = reward_name(reward)
    try:
        result = grade(reward, [as_completion(row, "0") for row in sample], sample)
    except Exception as error:
        raise ValueError(
            f"reward {name!r} raised {type(error).__name__}: {error} on the first {len(sample)} rows with "
            "the completion '0'; it must give each completion a number or None. It got "
            f"the columns {sorted(_columns(sample))}"
        ) from error
    try:
        checked_rewards(result, len(sample))
    except Exception as error:
        raise ValueError(
            f"reward {name!r} {error}; it must return a list with a number, or None for unscorable, for each"
            " completion"
        ) from error


def check_golds(reward: Reward, rows: Sequence[Row], gold_column: str = "answer") -> list[int]:
    r"""Positions of the rows whose own gold answer gets a reward below 1 when it is given as the completion.

    The gold (of a list, the first) is tried as it is, then as `\boxed{gold}`. Training on such rows would
    punish right answers: drop them. A row on which the reward raises, or that it cannot score, is among them.
    """
    for row in itertools.islice(rows, 1):
        if not has_column(row, gold_column):
            raise ValueError(f"gold column {gold_column!r} is not in the data; its columns are {sorted(row)}")
    checked = guard(
        reward, lambda name, num_rows, error: None
    )  # a row that fails gets None, and so is listed
    failing = list(range(len(rows)))
    for form in ("{}", "\\boxed{{{}}}"):
        scores: list[float | None] = []
        for start in range(0, len(failing), GOLD_BATCH):
            batch = [rows[i] for i in failing[start : start + GOLD_BATCH]]
            golds = [value_of(row, gold_column) for row in batch]
            texts = [form.format(gold[0] if isinstance(gold, list) and gold else gold) for gold in golds]
            completions = [as_completion(row, text) for row, text in zip(batch, texts, strict=True)]
            scores += grade(checked, completions, batch)
        failing = [i for i, score in zip(failing, scores, strict=True) if score is None or score < 1]
    return failing


def grade(
    reward: Reward,
    completions: Sequence[Completion],
    rows: Sequence[Row],
    completion_ids: list[list[int]] | None = None,
    log_extra: Callable[[str, list[Any]], None] | None = None,
) -> Any:
    """Call a reward outside of a trainer, with what TRL would give it; the result is not checked.

    `rows` are the completions' own, one each; what the reward logs is dropped without `log_extra`. An async
    reward runs in a thread of its own, as the caller may be a notebook that has an event loop already.
    """
    columns = _columns(rows)
    if completion_ids is not None:
        columns["completion_ids"] = completion_ids
    if log_extra is not None:
        columns["log_extra"] = log_extra
    result = reward(completions=own_data(list(completions)), **own_arguments(columns))
    if not is_async(reward):
        return result
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, result).result()


def as_completion(row: Row, text: str) -> Completion:
    """A text in the form of the row's prompt: a message if that is a list of messages."""
    return [{"role": "assistant", "content": text}] if isinstance(row.get("prompt"), list) else text


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    """What TRL passes beside the completions, for a few rows outside of a run."""
    columns: dict[str, Any] = (
        {key: [row[key] for row in rows] for key in rows[0] if key not in _NOT_COLUMNS} if rows else {}
    )
    return columns | {
        "prompts": [row.get("prompt", "") for row in rows],
        "completion_ids": [[0] for _ in rows],
        "trainer_state": SimpleNamespace(global_step=0, max_steps=1, epoch=0.0),
        "log_extra": lambda column, values: None,
        "log_metric": lambda name, value: None,
    }
