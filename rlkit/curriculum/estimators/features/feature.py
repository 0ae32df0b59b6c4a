"""What a feature is: something that can be seen of a prompt before it is rolled out."""

from typing import Any, Protocol

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups


class Feature(Protocol):
    """Hashed terms, plain numbers or both of prompts.

    A feature that is `static` says the same of a row at all times, and from `bind` on. Others look at the
    policy, which loads later, or at the past: they can be looked at from the first step on only, and only
    then it shows how many numbers they give. A prompt's features are those of when it was looked at: learn
    from these, and call `observe` after.
    """

    name: str = ""
    """As in `value_features`."""
    static: bool = True
    optional: bool = False
    """Whether a value model goes without it where `bind` finds nothing to look at."""

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Called once, before `look`.

        Raises:
            ValueError: the pool or the host lacks what the feature looks at.
        """

    def look(self, index_N: np.ndarray, rows: list[dict[str, Any]]) -> Hashed:
        """Of the prompts of these indices, whose rows are given."""
        ...

    def observe(self, groups: Groups) -> None:
        """Called with all graded groups of a round."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""

    def metrics(self) -> dict[str, float]:
        return {}
