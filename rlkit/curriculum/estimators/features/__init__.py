"""Features: what a head sees of a prompt before it is rolled out, one a file.

Each gives hashed terms and plain numbers of prompts (`hashed.py`) by the protocol of `feature.py`.
"""

from rlkit.curriculum.estimators.features.answer import Answer
from rlkit.curriculum.estimators.features.columns import Columns
from rlkit.curriculum.estimators.features.feature import Feature
from rlkit.curriculum.estimators.features.last_state import LastState
from rlkit.curriculum.estimators.features.likelihood import Likelihood
from rlkit.curriculum.estimators.features.past import Past
from rlkit.curriculum.estimators.features.readings import Readings
from rlkit.curriculum.estimators.features.states import States
from rlkit.curriculum.estimators.features.text import Text
from rlkit.curriculum.scale import Scale
from rlkit.settings.limits import FEATURES, OF_ROW, ROW

__all__ = ["Feature", "make_features"]


def make_features(
    names: tuple[str, ...],
    gold_column: str | None = None,
    layer: float = 0.5,
    age: int = 1,
    scale: Scale | None = None,
) -> list[Feature]:
    """The features of these names, in the order of `rlkit.settings.limits.FEATURES`.

    Args:
        names: with `row`, those that it stands for are taken where the data has them.
        gold_column: of `answer` and `likelihood`; None for "answer".
        layer: of `states`, as a share of the depth.
        age: steps that what the policy shows of a prompt serves.
        scale: the signal's range, for `past`.
    """
    gold = gold_column or "answer"
    readings = Readings(layer if "states" in names else None, gold if "likelihood" in names else None, age)
    made: dict[str, Feature] = {
        "text": Text(),
        "answer": Answer(gold),
        "columns": Columns(gold),
        "last_state": LastState(),
        "states": States(readings),
        "likelihood": Likelihood(readings),
        "past": Past(scale),
    }
    if ROW in names:
        made["answer"].optional = "answer" not in names and gold_column is None
        made["columns"].optional = "columns" not in names
        names += OF_ROW
    for name, feature in made.items():
        feature.name = name
    return [made[name] for name in FEATURES if name in names]
