"""Which categories of a data set a model fails at, from the pass rates that `rlkit score` measured."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.evaluate.statistics import bootstrap_interval
from rlkit.settings.columns import has_column, value_of


@dataclass(frozen=True)
class Bucket:
    """The rows of one category: their mean pass rate with its 95% interval (bootstrap over rows), and whether
    it is below the threshold."""

    name: str
    rows: int
    accuracy: float
    interval: tuple[float, float]
    failed: bool


def diagnose(rows: Sequence[Mapping[str, Any]], by: str, threshold: float, seed: int = 0) -> list[Bucket]:
    """The buckets of a column, worst first; rows whose `pass_rate` is null are left out.

    RedOne 2.0 (arXiv 2511.07070) trains on the failed ones; its threshold was not published.

    Raises:
        ValueError: a row lacks the column or `pass_rate`, or there is nothing to judge.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold ({threshold}) must be above 0 and at most 1")
    rates: dict[str, list[float]] = defaultdict(list)
    for position, row in enumerate(rows):
        for column in (by, "pass_rate"):
            if not has_column(row, column):
                remedy = "; measure it by `rlkit score`" if column == "pass_rate" else ""
                raise ValueError(f"row {position} has no {column!r}, only {sorted(row)}{remedy}")
        if row["pass_rate"] is not None:
            rates[str(value_of(row, by))].append(row["pass_rate"])
    if not rates:
        raise ValueError(
            f"none of the {len(rows)} rows has a pass_rate; did the reward read their gold answers?"
        )
    found = []
    for name, values in rates.items():
        accuracy = float(np.mean(values))
        interval = bootstrap_interval(np.array(values), seed)
        found.append(Bucket(name, len(values), accuracy, interval, accuracy < threshold))
    return sorted(found, key=lambda bucket: (bucket.accuracy, bucket.name))
