"""Categories in wanted proportions, drawn from the stream: what estimators over a column of names share.

A prompt of category c is admitted with probability (q(c) / f(c)) / max over categories of (q / f), where q is
the distribution wanted and f the pool's own: rejection sampling, so that candidates follow q and, within a
category, the stream's order.
"""

from typing import Any, ClassVar

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.columns import categories
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.prompts.pool import PromptPool


class Categories(Neutral):
    """The admission rule; `distribution` and the numbers kept of each category are the subclass's.

    `initial` names those numbers and their values before the first step; a category that the checkpoint did
    not know starts from them.
    """

    name: str
    column: ClassVar = "category"
    initial: ClassVar[dict[str, float]]

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        self.names, self.code_N = categories(pool, self.name, self.column)
        self.share_C = np.bincount(self.code_N, minlength=len(self.names)) / len(pool)
        self.kept = {key: np.full(len(self.names), value) for key, value in self.initial.items()}

    def distribution(self) -> np.ndarray:
        """Wanted share of each category among the candidates, (C,), positive, summing to 1."""
        raise NotImplementedError

    def admission(self, index_N: np.ndarray) -> np.ndarray:
        ratio_C = self.distribution() / self.share_C
        return (ratio_C / ratio_C.max())[self.code_N[index_N]]

    def totals(self, index_P: np.ndarray, value_P: np.ndarray) -> np.ndarray:
        """Sums of the values of each category, (C,)."""
        return np.bincount(self.code_N[index_P], weights=value_P, minlength=len(self.names))

    def state_dict(self) -> dict[str, Any]:
        return {"names": self.names, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        old = {name: position for position, name in enumerate(state["names"])}
        known = [(code, old[name]) for code, name in enumerate(self.names) if name in old]
        for key, value in self.initial.items():
            self.kept[key] = np.full(len(self.names), value)
            for code, position in known:
                self.kept[key][code] = state["kept"][key][position]

    def metrics(self) -> dict[str, float]:
        """Entropy of the wanted proportions, in nats, and the greatest of them."""
        q_C = self.distribution()
        q_C = q_C[q_C > 0]
        entropy = float(-(q_C * np.log(q_C)).sum())
        return {f"{self.name}/entropy": entropy, f"{self.name}/greatest_share": float(q_C.max())}
