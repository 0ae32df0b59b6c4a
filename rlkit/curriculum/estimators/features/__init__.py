"""Features: what a head sees of a prompt before it is rolled out, one a file.

Each gives hashed terms and plain numbers of prompts (`hashed.py`) by the protocol of `feature.py`.
"""

from rlkit.curriculum.estimators.features.answer import Answer
from rlkit.curriculum.estimators.features.columns import Columns
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.last_state import LastState
from rlkit.curriculum.estimators.features.text import Text
from rlkit.settings.limits import FEATURES

__all__ = ["Feature", "make_features"]


def make_features(names: tuple[str, ...], gold_column: str | None = None) -> list[Feature]:
    """The features of these names, in that of `rlkit.settings.limits.FEATURES`.

    Args:
        gold_column: of `answer`; None for "answer".
    """
    gold = gold_column or "answer"
    made: dict[str, Feature] = {
        "text": Text(),
        "answer": Answer(gold),
        "columns": Columns(gold),
        "last_state": LastState(),
    }
    return [made[name] for name in FEATURES if name in names]
