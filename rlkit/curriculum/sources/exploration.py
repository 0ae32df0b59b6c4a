"""A small share of a round's prompts is taken past the preset's rule, so that no prompt is given up for good.

They are the stream's next, whatever admission, recall and selector say; once rolled out they teach, are
filtered and train as any other. Broken graders and sandboxes make a category worthless for a while: a rule
that learned to leave it out would else not be told that it is back.
"""

from typing import Any

import numpy as np

from rlkit.prompts.pool import Admission, PromptPool


class Exploration:
    """Places of a round that are taken in the stream's order.

    Args:
        share: of a round's prompts, 0 to 1. What a round cannot give in whole prompts is left to the next.
        admission: of these prompts too, where it is no judgement of their worth; None admits all.
    """

    def __init__(self, share: float = 0.0, admission: Admission | None = None):
        self.share, self.admission = share, admission
        self._owed = 0.0

    def bind(self, pool: PromptPool) -> None:
        self._pool = pool

    def draw(self, num: int, exclude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The prompts that come past the rule in a round of `num`."""
        if self.share == 0:
            return np.empty(0, dtype=np.int64)
        owed = self._owed + self.share * num
        places = min(int(np.floor(owed + 0.5)), num)
        self._owed = owed - places
        if self.admission is None:
            return self._pool.draw(places, exclude)
        return self._pool.draw_admitted(places, exclude, self.admission, rng)[0]

    def state_dict(self) -> dict[str, Any]:
        return {"owed": self._owed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._owed = state["owed"]
