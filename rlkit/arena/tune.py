"""One setting chosen for each curriculum, so that each is measured at its own best: `rlkit compare --tune`.

By successive halving (Jamieson and Talwalkar, arXiv 1502.07943) on starts that are not measured later: every
value is tried on a short run, the better half goes on to twice the budget, until one is left; the last rung
has half of the comparison's budget. A value's score is the held-out accuracy over its runs, in the mean over
what was spent. A value at which a run fails, or ends below its start, has diverged: it is told and dropped.

OUT/tuning/FIELD-VALUE/     a comparison of the curricula at this value
OUT/tuned.json              what was chosen, and from which scores; the choice stands when the budget grows
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from rlkit.arena.compare import train
from rlkit.arena.plan import Comparison, parse_vary, slug
from rlkit.report.comparison import Runs
from rlkit.report.curves import Curve
from rlkit.settings.budget import Budget


@dataclass(frozen=True)
class Tuning:
    """A grid, and where it is tried.

    Args:
        field: of the recipe.
        values: of the field, at least two.
        num_seeds: runs of each value and start; their seeds follow those that are measured.
        starts: values of the comparison's varied field that only tuning uses; empty where nothing is varied.
    """

    field: str
    values: tuple[str, ...]
    num_seeds: int = 1
    starts: tuple[str, ...] = ()

    def validate(self, comparison: Comparison) -> None:
        """Raises ValueError that names the option, its value and the remedy."""
        if len(self.values) < 2:
            raise ValueError(
                f"tune ({self.field}={','.join(self.values)}) has one value, so that there is nothing to "
                f"choose; give several, or set {self.field} in the config"
            )
        if self.num_seeds < 1:
            raise ValueError(f"tune_seeds ({self.num_seeds}) must be at least 1")
        varied, measured = comparison.vary or ("", ())
        if self.field == varied:
            raise ValueError(f"tune ({self.field}) is what vary varies; tune another field")
        if bool(varied) != bool(self.starts):
            raise ValueError(
                f"tune_starts ({','.join(self.starts)}) must name values of the varied field "
                f"({varied or 'none'}) for tuning alone, as 0,1 beside --vary warm_start_seed=20,21,22"
            )
        if both := sorted(set(self.starts) & set(measured)):
            raise ValueError(
                f"tune_starts ({','.join(self.starts)}) and vary share {', '.join(both)}: what a value was "
                "chosen on is no evidence for it; give other starts"
            )

    def rungs(self) -> list[tuple[int, float]]:
        """Values on each rung, and its share of the budget. Of 4: [(4, 1/4), (2, 1/2)]"""
        num = [len(self.values)]
        while num[-1] > 2:
            num.append(math.ceil(num[-1] / 2))
        return [(count, 0.5 ** (len(num) - rung)) for rung, count in enumerate(num)]


def tune(
    comparison: Comparison, tuning: Tuning, processes: int, console: Console, metric: str | None = None
) -> dict[str, dict[str, Any]]:
    """Chooses a value for each curriculum; those that were chosen in an earlier call stay.

    Returns:
        Curriculum -> {"field", "value", "scores": {value: score or None where it diverged}, "edge"}. `edge`
        says that the best value is the least or the greatest of the grid, so that a wider one may be better.
        A curriculum all of whose values diverged or failed is told and left out.

    Raises:
        ValueError: settings that cannot work, another grid than the folder's, or no value for the baseline.
    """
    tuning.validate(comparison)
    comparison.validate()
    path = comparison.out / "tuned.json"
    grid = {"field": tuning.field, "values": list(tuning.values), "starts": list(tuning.starts)}
    known = json.loads(path.read_text()) if path.exists() else {"grid": grid, "curricula": {}}
    if known["grid"] != grid:
        raise ValueError(
            f"out ({comparison.out}) holds runs tuned on another grid ({known['grid']}); give it again, or "
            "choose another folder"
        )
    if new := [name for name in comparison.curricula if name not in known["curricula"]]:
        known["curricula"] |= _halve(
            replace(comparison, curricula=tuple(new)), tuning, processes, console, metric
        )
        path.write_text(json.dumps(known, indent=1))
    found = {name: known["curricula"][name] for name in comparison.curricula if name in known["curricula"]}
    lost = f"tune ({tuning.field}={','.join(tuning.values)}): {{}} diverged or failed at every value (logs "
    lost += "under tuning/ in the comparison's folder); give smaller ones"
    if comparison.curricula[0] not in found:
        raise ValueError(lost.format(comparison.curricula[0]))
    for name in comparison.curricula:
        if name not in found:
            console.print(f"{lost.format(name)}. It is left out.", style="red", highlight=False)
    return found


def parse_tune(text: str, num_seeds: int, starts: str | None) -> Tuning:
    """parse_tune("learning_rate=1e-4,2e-4", 1, "0,1")"""
    field, values = parse_vary(text, "tune")
    listed = tuple(value.strip() for value in (starts or "").split(",") if value.strip())
    return Tuning(field, values, num_seeds, listed)


def _halve(
    comparison: Comparison, tuning: Tuning, processes: int, console: Console, metric: str | None
) -> dict[str, dict[str, Any]]:
    score: dict[str, dict[str, float | None]] = {name: {} for name in comparison.curricula}
    alive = {name: list(tuning.values) for name in comparison.curricula}
    for count, share in tuning.rungs():
        budget = Budget(comparison.budget.axis, math.ceil(share * comparison.budget.amount))
        for name, best in alive.items():
            alive[name] = _best(best, score[name])[:count]
        for value in tuning.values:
            names = tuple(name for name in comparison.curricula if value in alive[name])
            if not names:
                continue
            console.print(f"tuning {tuning.field}={value} to {budget}: {', '.join(names)}", highlight=False)
            outcome = train(_tried(comparison, tuning, names, value, budget), processes, console, metric)
            for name in names:
                score[name][value] = _score(outcome.curves[name], budget)
    best = {name: _best(alive[name], score[name]) for name in alive}
    return {name: _chosen(tuning, best[name], score[name]) for name in alive if best[name]}


def _tried(
    comparison: Comparison, tuning: Tuning, names: tuple[str, ...], value: str, budget: Budget
) -> Comparison:
    first = max(comparison.seeds) + 1
    return replace(
        comparison,
        curricula=names,
        seeds=tuple(range(first, first + tuning.num_seeds)),
        budget=budget,
        out=comparison.out / "tuning" / f"{tuning.field}-{slug(value)}",
        vary=(comparison.vary[0], tuning.starts) if comparison.vary else None,
        overrides={**comparison.overrides, tuning.field: value},
    )


def _score(runs: Runs, budget: Budget) -> float | None:
    """Accuracy in the mean over the budget and over runs; None where one diverged."""
    areas = [
        _area(run, budget) for run in runs if run is not None and run.accuracy_E[-1] >= run.accuracy_E[0]
    ]
    return float(np.mean(areas)) if len(areas) == len(runs) else None


def _area(run: Curve, budget: Budget) -> float:
    grid = np.linspace(0, budget.amount, 201)
    return float(np.mean(np.interp(grid, run.cost[budget.axis], run.accuracy_E)))


def _best(values: Sequence[str], score: dict[str, float | None]) -> list[str]:
    """The values that have not diverged, best first; all in their order before the first rung."""
    known = [value for value in values if score.get(value, 0.0) is not None]
    return sorted(known, key=lambda value: -(score.get(value) or 0.0))


def _chosen(tuning: Tuning, best: list[str], score: dict[str, float | None]) -> dict[str, Any]:
    return {
        "field": tuning.field,
        "value": best[0],
        "scores": score,
        "edge": _is_edge(best[0], tuning.values),
    }


def _is_edge(value: str, values: tuple[str, ...]) -> bool:
    """Of the grid's numbers; names have no order."""
    try:
        numbers = [float(each) for each in values]
    except ValueError:
        return False
    return float(value) in (min(numbers), max(numbers))
