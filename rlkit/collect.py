"""One step of collecting: the paragraph that every host runs, free of torch and of TRL.

A host is whatever turns chosen prompts into graded groups: the TRL trainer, or the simulator. Where the
groups come from is up to the curriculum's sources (`curriculum/sources/`).
"""

from typing import Protocol

import numpy as np

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.filling import Filling, UnfilledBatchError
from rlkit.curriculum.sources.source import Host
from rlkit.types import Batch


class Writer(Protocol):
    """Records a batch with all its graded groups."""

    def write(self, batch: Batch) -> None: ...


class NoLedger:
    """Records nothing: the processes beside the main one, and simulations that want none."""

    step = 1

    def write(self, batch: Batch) -> None:
        pass

    def flush(self) -> None:
        pass


def collect(curriculum: Curriculum, host: Host, num_groups: int, ledger: Writer) -> Batch:
    """Has the curriculum's sources roll out and train a batch of `num_groups` groups. Never dies of a lack.

    Raises:
        UnfilledBatchError: too few groups passed and the curriculum's fill policy is "error", or too few
            screened prompts are left to complete them on several processes; or the pool has too few prompts
            that can be rolled out.
    """
    filling = Filling(num_groups)
    for source in curriculum.sources:
        source.fill(filling, host)
    if len(filling.index) < num_groups:
        raise UnfilledBatchError(too_few(curriculum, filling))
    batch = filling.finish(curriculum.fill)
    for source in curriculum.sources:
        batch = source.complete(batch, host)
    curriculum.finish(batch)
    ledger.write(batch)
    if batch.fill == "error":
        raise UnfilledBatchError(not_full(batch, num_groups))
    return batch


def too_few(curriculum: Curriculum, filling: Filling) -> str:
    """Why there are fewer groups than a batch has."""
    pool = curriculum.pool
    return (
        f"{len(filling.index)} prompts could be rolled out for a batch of {filling.num_groups}: the pool has "
        f"{len(pool)}, of which {pool.usable.num_bad} cannot be used (the warnings say why); add prompts, or "
        "mend those"
    )


def not_full(batch: Batch, num_groups: int) -> str:
    """Why fewer were kept."""
    names, counts = np.unique(batch.reason_P.astype(str), return_counts=True)
    funnel = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    return (
        f"{batch.num_rounds} rounds of rollouts did not fill a batch of {num_groups} groups ({funnel}); "
        "raise max_rounds, widen the filter, or set fill=top_up or fill=shrink"
    )
