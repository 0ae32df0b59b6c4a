"""Which prompts can be rolled out at all: each is examined once, when the stream first reaches it."""

from collections.abc import Callable

import numpy as np

Examine = Callable[[np.ndarray], np.ndarray]
"""From (N,) pool indices to whether each prompt can be rolled out, (N,) bool."""

UNKNOWN, GOOD, BAD = 0, 1, 2


class Usable:
    """What is known of a pool's prompts; without `examine` all are good, at no cost.

    It follows from the data and the tokenizer alone: a checkpoint keeps what was found bad for the count, and
    the rest is found again.
    """

    def __init__(self, num: int):
        self.examine: Examine | None = None
        self._num = num
        self._verdict_N: np.ndarray | None = None
        self.num_bad = 0

    def __call__(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each prompt can be rolled out, (N,)."""
        if self.examine is None:
            return np.ones(len(index_N), dtype=bool)
        verdict_N = self._verdicts()
        unknown = np.unique(index_N[verdict_N[index_N] == UNKNOWN])
        if len(unknown):
            verdict_N[unknown] = np.where(self.examine(unknown), GOOD, BAD)
            self.num_bad += int((verdict_N[unknown] == BAD).sum())
        return verdict_N[index_N] == GOOD

    @property
    def bad(self) -> np.ndarray:
        """Indices of the prompts known to be of no use."""
        return np.flatnonzero(self._verdicts() == BAD) if self.num_bad else np.empty(0, dtype=np.int64)

    def set_bad(self, index_K: np.ndarray) -> None:
        """Forgets everything but that these are of no use."""
        self._verdict_N = None
        self.num_bad = len(index_K)
        if len(index_K):
            self._verdicts()[index_K] = BAD

    def _verdicts(self) -> np.ndarray:
        if self._verdict_N is None:
            self._verdict_N = np.zeros(self._num, dtype=np.uint8)
        return self._verdict_N
