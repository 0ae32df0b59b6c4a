"""verl's batch as graded groups."""

from typing import Any

import numpy as np

from rlkit.types import ABSENT, Groups

INDEX = "rlkit_index"
"""The tensor, (rows, 1), that carries a prompt's place in the pool through verl's batch."""


def groups_of(batch: Any, signal: str | None = None) -> Groups:
    """The groups of a `DataProto` after the advantages are known, in the order of their first rows.

    Args:
        signal: the key of the reward's extra info that the curriculum looks at; None for the score itself,
            the sum of `token_level_scores`, which has no KL penalty in it.

    Raises:
        ValueError: a column is missing.
    """
    tensors, others = batch.batch, batch.non_tensor_batch
    for name, columns in ((INDEX, tensors), ("token_level_scores", tensors), ("uid", others)):
        _check(name, columns)
    score_R = tensors["token_level_scores"].sum(-1).float().cpu().numpy()
    reward = tensors["token_level_rewards" if "token_level_rewards" in tensors else "token_level_scores"]
    if signal is not None:
        _check(signal, others, remedy="the reward function must return it beside its score")
    signal_R = score_R if signal is None else np.array(others[signal], dtype=np.float32)
    _, first, group_R = np.unique(others["uid"].astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rows = [np.flatnonzero(group_R == number) for number in order.tolist()]
    index_R = tensors[INDEX].reshape(-1).cpu().numpy()
    length_R = tensors["response_mask"].sum(-1).cpu().numpy()
    return make_groups(
        np.array([index_R[row[0]] for row in rows], dtype=np.int64),
        signals=[signal_R[row] for row in rows],
        rewards=[reward.sum(-1).float().cpu().numpy()[row] for row in rows],
        lengths=[length_R[row] for row in rows],
    )


def make_groups(index_P: np.ndarray, signals: list, rewards: list, lengths: list) -> Groups:
    """Groups of a list a prompt, filled up to the largest."""
    width = max(map(len, signals))
    ages = [np.zeros(len(row), dtype=np.int32) for row in signals]
    return Groups(
        index_P,
        signal_PG=_padded(signals, width, np.nan).astype(float),
        reward_PG=_padded(rewards, width, np.nan).astype(float),
        length_PG=_padded(lengths, width, 0).astype(np.int64),
        age_PG=_padded(ages, width, ABSENT).astype(np.int32),
    )


def _padded(rows: list, width: int, fill: float) -> np.ndarray:
    return np.stack(
        [np.pad(np.asarray(row, float), (0, width - len(row)), constant_values=fill) for row in rows]
    )


def _check(name: str, columns: Any, remedy: str = "use verl's own trainer loop, which sets it") -> None:
    if name not in columns.keys():  # noqa: SIM118  (a TensorDict's `in` is for tensors)
        raise ValueError(
            f"verl's batch has no {name!r} (it has: {', '.join(sorted(columns.keys()))}); {remedy}"
        )
