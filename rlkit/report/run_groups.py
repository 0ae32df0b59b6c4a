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

    `mean_P` and `variance_P` (biased) are of the scored signals, NaN where there are none, `best_P` is the
    greatest; `count_P` are the scored completions; `reward_P` is the mean reward.
    """

    step_P: np.ndarray
    generation_P: np.ndarray
    index_P: np.ndarray
    predicted_P: np.ndarray
    mean_P: np.ndarray
    variance_P: np.ndarray
    best_P: np.ndarray
    count_P: np.ndarray
    reward_P: np.ndarray
    trained_P: np.ndarray

    def __len__(self) -> int:
        return len(self.step_P)

    def take(self, chosen: np.ndarray) -> "GroupTable":
        """Some of the groups, by positions or a mask."""
        return GroupTable(*(getattr(self, name)[chosen] for name in self.__slots__))


def read_groups(folder: Path) -> GroupTable:
    """The groups of `ledger/`; none where there is no ledger."""
    table = read_ledger(folder / "ledger")
    signals, group = _flat(table["signals"])
    rewards, _ = _flat(table["rewards"])
    num = len(table)
    mean_P, count_P = _means(signals, group, num)
    variance_P, _ = _means((signals - mean_P[group]) ** 2, group, num)
    best_P = np.full(num, -np.inf)
    np.fmax.at(best_P, group, signals)
    groups = GroupTable(
        step_P=table["step"].to_numpy(),
        generation_P=table["generation"].to_numpy(),
        index_P=table["index"].to_numpy(),
        predicted_P=table["predicted_mean"].to_numpy(),
        mean_P=mean_P,
        variance_P=variance_P,
        best_P=np.where(count_P > 0, best_P, np.nan),
        count_P=count_P,
        reward_P=_means(rewards, group, num)[0],
        trained_P=table["trained"].to_numpy(),
    )
    return groups.take(table["round"].to_numpy() != REPLAYED)


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The items of all lists one after the other, and the list that each is of."""
    if len(column) == 0:
        return np.empty(0), np.empty(0, dtype=int)
    lists = column.combine_chunks()
    sizes = lists.value_lengths().to_numpy()
    items = lists.flatten().to_numpy(zero_copy_only=False).astype(float)
    return items, np.repeat(np.arange(len(sizes)), sizes)


def _means(values: np.ndarray, group: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each group without NaNs, NaN where there is nothing else, and of how many: (num,) each."""
    known = ~np.isnan(values)
    sums = np.bincount(group[known], weights=values[known], minlength=num)
    counts = np.bincount(group[known], minlength=num)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), counts


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
