"""Prompts put aside in a run: the stream goes on past them until they are brought back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.prompts.pool import PromptPool

CHUNK = 256
"""Prompts that are examined at once to see whether enough are left."""


@dataclass(frozen=True)
class Aside:
    """Prompts by their keys, and whole categories. One that is in both comes back when both do."""

    keys: frozenset[int] = frozenset()
    categories: frozenset[str] = frozenset()

    def mask(self, pool: PromptPool) -> np.ndarray | None:
        """Which prompts are put aside, (N,) bool; None where none is."""
        if not (self.keys or self.categories):
            return None
        mask_N = np.isin(pool.key_N, np.array(sorted(self.keys), dtype=np.uint64))
        if self.categories:
            values = pool.column("category")
            mask_N |= np.isin(np.asarray(values, dtype=str), sorted(self.categories))
        return mask_N

    def state(self) -> dict[str, Any]:
        return {"keys": [str(key) for key in sorted(self.keys)], "categories": sorted(self.categories)}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "Aside":
        return cls(frozenset(map(int, state["keys"])), frozenset(state["categories"]))


def check_known(pool: PromptPool, aside: Aside) -> None:
    """Raises ValueError that names the keys or categories that the pool does not have."""
    keys = sorted(aside.keys)
    if any(not 0 <= key < 2**64 for key in keys):
        raise ValueError("a prompt's key is a whole number from 0 to 2^64 - 1, as in the ledger")
    unknown = [key for key in keys if key not in set(pool.key_N.tolist())] if keys else []
    if unknown:
        raise ValueError(f"no prompt of the pool has the key {unknown[0]}")
    if not aside.categories:
        return
    values = pool.column("category")
    if values is None:
        raise ValueError("the data has no `category` column: put prompts aside by their keys")
    known = sorted(set(np.asarray(values, dtype=str).tolist()))
    missing = sorted(aside.categories - set(known))
    if missing:
        raise ValueError(f"no prompt has the category {missing[0]!r}; there are: {', '.join(known[:20])}")


def check_left(pool: PromptPool, mask_N: np.ndarray | None, num_groups: int) -> None:
    """Raises ValueError where fewer prompts than one batch holds would be left that can be rolled out."""
    if mask_N is None:
        return
    left, num_good = np.flatnonzero(~mask_N), 0
    for start in range(0, len(left), CHUNK):
        num_good += int(pool.usable.can_be(left[start : start + CHUNK]).sum())
        if num_good >= num_groups:
            return
    raise ValueError(
        f"{num_good} prompts would be left that can be rolled out, fewer than the {num_groups} of one batch"
    )
