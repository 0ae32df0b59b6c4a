"""Which prompts can be rolled out at all: each is examined once, when the stream first reaches it. Some that
could be are put aside."""

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
        self._aside_N: np.ndarray | None = None
        self._num_good_aside = 0

    def __call__(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each prompt is to be rolled out, (N,): it can be, and it is not put aside."""
        if self._aside_N is None:
            return self.can_be(index_N)
        wanted_N = ~self._aside_N[index_N]
        wanted_N[wanted_N] = self.can_be(index_N[wanted_N])
        return wanted_N

    def can_be(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each prompt can be rolled out, (N,)."""
        if self.examine is None:
            return np.ones(len(index_N), dtype=bool)
        verdict_N = self._verdicts()
        unknown = np.unique(index_N[verdict_N[index_N] == UNKNOWN])
        if len(unknown):
            verdict_N[unknown] = np.where(self.examine(unknown), GOOD, BAD)
            self.num_bad += int((verdict_N[unknown] == BAD).sum())
        return verdict_N[index_N] == GOOD

    def put_aside(self, aside_N: np.ndarray | None) -> None:
        """These prompts, (N,) bool, are passed over from here on, and no others; None for none."""
        self._aside_N = aside_N
        self._num_good_aside = int((aside_N & (self._verdicts() != BAD)).sum()) if aside_N is not None else 0

    @property
    def aside(self) -> np.ndarray:
        """Indices of the prompts that are put aside."""
        return np.empty(0, dtype=np.int64) if self._aside_N is None else np.flatnonzero(self._aside_N)

    @property
    def num_out(self) -> int:
        """Prompts known to be of no use, or put aside."""
        return self.num_bad + self._num_good_aside

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
        self.put_aside(self._aside_N)

    def _verdicts(self) -> np.ndarray:
        if self._verdict_N is None:
            self._verdict_N = np.zeros(self._num, dtype=np.uint8)
        return self._verdict_N
