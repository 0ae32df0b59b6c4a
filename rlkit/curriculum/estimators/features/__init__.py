"""Features: what a head sees of a prompt before it is rolled out, one a file.

Each gives hashed terms and plain numbers of rows (`hashed.py`), on NumPy alone, and asks no model.
"""

from typing import Any, Protocol

from rlkit.curriculum.estimators.features.answer import Answer
from rlkit.curriculum.estimators.features.columns import Columns
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.features.text import Text
from rlkit.prompts.pool import PromptPool
from rlkit.settings.limits import FEATURES


class Feature(Protocol):
    """Something that can be seen of a row."""

    def bind(self, pool: PromptPool) -> None:
        """Called once, before `look`.

        Raises:
            ValueError: the pool lacks a column, or holds values that the feature cannot read.
        """
        ...

    def look(self, rows: list[dict[str, Any]]) -> Hashed: ...


def make_features(names: tuple[str, ...], gold_column: str | None = None) -> list[Feature]:
    """The features of these names, in that of `rlkit.settings.limits.FEATURES`.

    Args:
        gold_column: of `answer`; None for "answer".
    """
    gold = gold_column or "answer"
    made = {"text": Text(), "answer": Answer(gold), "columns": Columns(gold)}
    return [made[name] for name in FEATURES if name in names]
