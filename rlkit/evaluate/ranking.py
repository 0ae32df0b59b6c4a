"""Models that `rlkit eval` evaluated, ranked by LLM Swiss Round (swiss.py) beside their plain means."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from rlkit.evaluate.compare import differing_settings
from rlkit.evaluate.swiss import DROPS, NUM_SHUFFLES, expected_wins, failure_sensitivity

Z = 1.96


@dataclass(frozen=True)
class Ranked:
    """A model's place. `wins` are those expected at each of `DROPS`, `interval` is 95% of the first of them,
    over shuffles alone: it says nothing of other problems."""

    model: str
    wins: tuple[float, ...]
    interval: tuple[float, float]
    sensitivity: float
    mean: float
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Ranking:
    """Models by falling expected wins; `disagreements` between the wins and the means, and what is unfair."""

    benchmarks: tuple[str, ...]
    models: list[Ranked]
    disagreements: list[str]
    notes: list[str]


def rank(
    folders: Sequence[Path],
    order: Sequence[str] | None = None,
    num_shuffles: int = NUM_SHUFFLES,
    seed: int = 0,
) -> Ranking:
    """Rank the models of some folders (OUT, or OUT/<label>) by the benchmarks that all have.

    Args:
        order: benchmarks, as the rounds go; all that all models have, by name, where None.

    Raises:
        ValueError: a folder without a finished evaluation, fewer than two models, no shared benchmark, an
            `order` with one twice or one that a model lacks, or an accuracy that is no number.
    """
    found = _models([path for folder in folders for path in _evaluations(folder)])
    if len(found) < 2:
        raise ValueError(f"folders hold {len(found)} evaluated model ({', '.join(found)}); two are needed")
    benchmarks, notes = _shared(found, order)
    score_KM = np.array(
        [[_accuracy(folder / name) for folder in found.values()] for name in benchmarks], dtype=float
    )
    first, *others = found.values()
    notes += [
        f"{other}: {note}"
        for other in others
        for name in benchmarks
        for note in differing_settings(first / name, other / name)
    ]
    standings = [expected_wins(score_KM, drop, num_shuffles, seed) for drop in DROPS]
    wins_TM = np.array([standing.wins_M for standing in standings])
    slope_M = failure_sensitivity(wins_TM)
    half_M = Z * standings[0].error_M
    models = [
        Ranked(
            model=model,
            wins=tuple(wins_TM[:, m].tolist()),
            interval=(float(wins_TM[0, m] - half_M[m]), float(wins_TM[0, m] + half_M[m])),
            sensitivity=float(slope_M[m]),
            mean=float(score_KM[:, m].mean()),
            accuracies=tuple(score_KM[:, m].tolist()),
        )
        for m, model in enumerate(found)
    ]
    models.sort(key=lambda each: (-each.wins[0], -each.mean))
    return Ranking(tuple(benchmarks), models, _disagreements(models), notes)


def _evaluations(folder: Path) -> list[Path]:
    """The models' folders: those in an OUT, or the folder itself."""
    models = sorted({path.parent.parent for path in folder.glob("*/*/summary.json")})
    if not models and any(folder.glob("*/summary.json")):
        models = [folder]
    if not models:
        raise ValueError(f"{folder} holds no finished evaluation; give the DIR of `rlkit eval ... --out DIR`")
    return models


def _models(folders: Sequence[Path]) -> dict[str, Path]:
    """By their labels, or by their paths where two have the same label."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    folders = list(found.values())
    labels = [folder.resolve().name for folder in folders]
    return {
        label if labels.count(label) == 1 else str(folder): folder
        for label, folder in zip(labels, folders, strict=True)
    }


def _shared(found: dict[str, Path], order: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The benchmarks in order of the rounds, and which others were left out."""
    of = {
        model: {path.parent.name for path in folder.glob("*/summary.json")} for model, folder in found.items()
    }
    for name in order or ():
        if list(order or ()).count(name) > 1:
            raise ValueError(f"benchmark {name} is named twice; a round is played once")
        lacking = [model for model, names in of.items() if name not in names]
        if lacking:
            raise ValueError(
                f"benchmark {name} is not finished for {', '.join(lacking)}; run rlkit eval on it"
            )
    shared = list(order) if order else sorted(set.intersection(*of.values()))
    if not shared:
        held = "; ".join(f"{model}: {', '.join(sorted(names))}" for model, names in of.items())
        raise ValueError(f"the models share no benchmark ({held})")
    left_out = sorted(set.union(*of.values()) - set(shared))
    return shared, [f"{name} is left out: not all models have it" for name in left_out if not order]


def _accuracy(folder: Path) -> float:
    path = folder / "summary.json"
    try:
        accuracy = json.loads(path.read_text())["accuracy"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is no summary of `rlkit eval`; evaluate that model again") from error
    if not isinstance(accuracy, int | float) or not math.isfinite(accuracy):
        raise ValueError(f"{path}: accuracy ({accuracy}) is not a number; could its problems be scored?")
    return accuracy


def _disagreements(models: Sequence[Ranked]) -> list[str]:
    """Pairs that the means order the other way round, and whether the shuffles could have made it."""
    found = []
    for ahead, behind in combinations(models, 2):
        if behind.mean > ahead.mean:
            sure = ahead.interval[0] > behind.interval[1]
            found.append(
                f"{ahead.model} expects more wins than {behind.model} ({ahead.wins[0]:.3f} and "
                f"{behind.wins[0]:.3f}{'' if sure else ', intervals overlap'}), which has the higher mean "
                f"({behind.mean:.3f} and {ahead.mean:.3f})"
            )
    return found
