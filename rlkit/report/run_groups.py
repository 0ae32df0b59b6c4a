"""The groups of a run's ledger as arrays: what was rolled out, predicted, graded, and trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rlkit.record.ledger import read_ledger
from rlkit.types import REPLAYED


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The graded groups in order, without those that were only trained on again.

    `mean_P` and `variance_P` (biased) are of the scored signals, NaN where there are none; `best_P` is the
    greatest signal; `count_P` the scored completions, `size_P` all; `tokens_P` those of the group.
    """

    step_P: np.ndarray
    generation_P: np.ndarray
    index_P: np.ndarray
    predicted_P: np.ndarray
    mean_P: np.ndarray
    variance_P: np.ndarray
    best_P: np.ndarray
    count_P: np.ndarray
    size_P: np.ndarray
    tokens_P: np.ndarray
    trained_P: np.ndarray

    def __len__(self) -> int:
        return len(self.step_P)

    def take(self, chosen: np.ndarray) -> "GroupTable":
        """Some of the groups, by positions or a mask."""
        return GroupTable(*(getattr(self, name)[chosen] for name in self.__slots__))


def read_groups(folder: Path) -> GroupTable:
    """The groups of `ledger/`; none where there is no ledger."""
    table = read_ledger(folder / "ledger")
    fresh = table["round"].to_numpy() != REPLAYED
    signals, size_P = _flat(table["signals"])
    lengths, _ = _flat(table["lengths"])
    group = np.repeat(np.arange(len(size_P)), size_P)
    scored = ~np.isnan(signals)
    count_P = np.bincount(group, weights=scored, minlength=len(size_P))
    divisor_P = np.maximum(count_P, 1)
    mean_P = np.bincount(group, weights=np.where(scored, signals, 0), minlength=len(size_P)) / divisor_P
    deviations = np.where(scored, signals - mean_P[group], 0) ** 2
    variance_P = np.bincount(group, weights=deviations, minlength=len(size_P)) / divisor_P
    best_P = np.full(len(size_P), -np.inf)
    np.maximum.at(best_P, group[scored], signals[scored])
    groups = GroupTable(
        step_P=table["step"].to_numpy(),
        generation_P=table["generation"].to_numpy(),
        index_P=table["index"].to_numpy(),
        predicted_P=table["predicted_mean"].to_numpy(),
        mean_P=np.where(count_P > 0, mean_P, np.nan),
        variance_P=np.where(count_P > 0, variance_P, np.nan),
        best_P=np.where(count_P > 0, best_P, np.nan),
        count_P=count_P.astype(int),
        size_P=size_P,
        tokens_P=np.bincount(group, weights=lengths, minlength=len(size_P)),
        trained_P=table["trained"].to_numpy(),
    )
    return groups.take(fresh)


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The items of all lists one after the other, and the length of each list."""
    if len(column) == 0:
        return np.empty(0), np.empty(0, dtype=int)
    lists = column.combine_chunks()
    return lists.flatten().to_numpy(zero_copy_only=False).astype(float), lists.value_lengths().to_numpy()


def signal_range(groups: GroupTable, config: Mapping[str, Any]) -> tuple[float, float]:
    """The declared range of the signal; where none is, 0 to 1 or as far as the groups' means go beyond."""
    low, high = config.get("signal_min"), config.get("signal_max")
    seen = groups.mean_P[~np.isnan(groups.mean_P)]
    best = groups.best_P[~np.isnan(groups.best_P)]
    if low is None:
        low = min(0.0, float(seen.min(initial=0.0)))
    if high is None:
        high = max(1.0, float(best.max(initial=1.0)))
    return float(low), float(high)
