"""What a comparison consists of: one run for each curriculum, start and seed, and the command of each.

The config is a recipe's YAML file. Its key `recipe` names the script, relative to the file; `recipe:
simulated` is the simulated policy. The script is run as

    SCRIPT --config FILE --curriculum NAME --seed N --output_dir DIR --budget AXIS=N --max_steps N
           [--FIELD VALUE, from `vary` and `overrides`] [--resume_from_checkpoint true]

so any script that reads its settings with `rlkit.settings.arguments.parse_arguments` can be
compared. It leaves `metrics.jsonl`, as `CurriculumGRPOTrainer` does, and its held-out accuracy in
`heldout.jsonl` or in TRL's evaluations (`rlkit.report.curves.read_heldout`).
"""

import math
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rlkit.arena.arm import parse_arm
from rlkit.settings.budget import Budget

SIMULATED = "simulated"
NO_LIMIT = 1_000_000
"""Steps of a run whose budget is on another axis."""


@dataclass(frozen=True)
class Run:
    """One run of the comparison: what is trained, from which block's start, and where."""

    curriculum: str
    seed: int
    value: str | None
    """Of the varied field; runs with the same value have the same start."""
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.curriculum} {self.folder.parent.name}"

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")


@dataclass(frozen=True)
class Comparison:
    """Curricula that all run from the same starts, with the same seeds, to the same budget.

    Args:
        config: the recipe's YAML file.
        curricula: presets, perhaps with settings of their own (`rlkit:headroom=0`); the first is the
            baseline.
        seeds: of the runs; run r of each curriculum has the same.
        budget: of each run.
        out: folder of the runs and of the report.
        recipe: the script, or "simulated"; None where the file says it.
        vary: a field of the recipe and its values: every seed runs with each of them, as with several warm
            starts. Runs with the same value are not independent, which the intervals allow for.
        overrides: more fields of the recipe, set alike for all runs.
        own: curriculum -> fields of the recipe for its runs alone, as `rlkit.arena.tune` chose them.
    """

    config: Path
    curricula: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: Budget
    out: Path
    recipe: str | None = None
    vary: tuple[str, tuple[str, ...]] | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
        for curriculum in self.curricula:
            parse_arm(curriculum)
        if not self.curricula or len(set(self.curricula)) < len(self.curricula):
            raise ValueError(f"curricula ({','.join(self.curricula)}) must name each once")
        if not self.seeds:
            raise ValueError("seeds (0) must be at least 1: run every curriculum with that many seeds")
        settings = self.settings()
        if self.script() != SIMULATED:
            if not Path(self.script()).is_file():
                raise ValueError(f"recipe ({self.script()}) does not exist; give the path of the script")
            _check_schedule({**settings, **self.overrides}, self.budget)

    def settings(self) -> dict[str, Any]:
        """The YAML file's."""
        if not self.config.is_file():
            raise ValueError(f"config ({self.config}) does not exist; give a recipe's YAML file")
        settings = yaml.safe_load(self.config.read_text())
        if not isinstance(settings, dict):
            raise ValueError(f"config ({self.config}) holds no settings; write one `name: value` a line")
        return settings

    def script(self) -> str:
        """Path of the recipe's script, or "simulated"."""
        if self.recipe is not None:
            return self.recipe
        named = self.settings().get("recipe")
        if named is None:
            raise ValueError(
                f"config ({self.config}) has no `recipe`, so it is not known which script it is for; add "
                "`recipe: my_script.py` (relative to the file, or `simulated`) or give --recipe"
            )
        return named if named == SIMULATED else str((self.config.parent / named).resolve())

    def fixed_settings(self) -> dict[str, Any]:
        """What must be the same for all runs in `out`, whenever they were made; `own` of each curriculum."""
        field = None if self.vary is None else self.vary[0]
        recipe = Path(self.script()).name
        own = {name: self.own.get(name, {}) for name in self.curricula}
        return {**self.settings(), **self.overrides, "recipe": recipe, "vary": field, "own": own}

    def runs(self) -> list[Run]:
        """All runs; those of one start and seed stand together, so that they see the machine at one time."""
        values = (None,) if self.vary is None else self.vary[1]
        return [
            Run(curriculum, seed, value, self.out / self._cell(seed, value) / slug(curriculum))
            for seed in self.seeds
            for value in values
            for curriculum in self.curricula
        ]

    def _cell(self, seed: int, value: str | None) -> str:
        if self.vary is None or value is None:
            return f"seed-{seed}"
        return f"{self.vary[0]}-{slug(value)}-seed-{seed}"

    def command(self, run: Run) -> list[str]:
        """Of the run's process."""
        preset, own = parse_arm(run.curriculum)
        settings: dict[str, Any] = {
            "config": self.config,
            "curriculum": preset,
            "seed": run.seed,
            "output_dir": run.folder,
            "budget": self.budget,
            "max_steps": math.ceil(self.budget.amount) if self.budget.axis == "steps" else NO_LIMIT,
            **self.overrides,
            **own,
            **self.own.get(run.curriculum, {}),
        }
        if self.vary is not None:
            settings[self.vary[0]] = run.value
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "rlkit.arena.child", str(run.folder), self.script(), *words]


def slug(value: str) -> str:
    """A folder's name. slug("deep/blue") -> "deep_blue" """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", value)


def parse_vary(text: str, option: str = "vary") -> tuple[str, tuple[str, ...]]:
    """parse_vary("warm_start_seed=0,1") -> ("warm_start_seed", ("0", "1"))"""
    name, _, listed = text.partition("=")
    values = tuple(value.strip() for value in listed.split(",") if value.strip())
    if not name or not values or len(set(values)) < len(values):
        raise ValueError(
            f"{option} ({text!r}) must be FIELD=VALUE,VALUE,... with each value once, such as seed=0,1"
        )
    return name, values


def check_metric(metric: str | None, comparison: Comparison) -> None:
    """Raises ValueError where no run can have the held-out metric, before any is started."""
    if metric is None:
        return
    settings = {**comparison.settings(), **comparison.overrides}
    if not metric.startswith("eval_") or comparison.script() == SIMULATED:
        raise ValueError(
            f"metric ({metric}) must be one of TRL's evaluations, such as eval_rewards/NAME/mean, of a "
            "script that trains; leave it out where the script writes heldout.jsonl, as `simulated` does"
        )
    if str(settings.get("eval_strategy", "no")) == "no":
        raise ValueError(
            f"metric ({metric}) is of TRL's evaluations, and config ({comparison.config}) makes none; set "
            "eval_strategy: steps and eval_steps there"
        )
    rewards = [str(spec).rpartition(":")[2] for spec in settings.get("rewards") or []]
    named = re.fullmatch(r"eval_rewards/(.+)/(mean|std)", metric)
    if rewards and named and named[1] not in rewards:
        known = ", ".join(f"eval_rewards/{name}/mean" for name in rewards)
        raise ValueError(f"metric ({metric}) names no reward of config ({comparison.config}): {known}")


def parse_targets(text: str | None) -> list[float]:
    """parse_targets("0.6,0.7") -> [0.6, 0.7]"""
    try:
        return [float(target) for target in text.split(",")] if text else []
    except ValueError as error:
        raise ValueError(f"targets ({text!r}) must be numbers between commas, such as 0.6,0.7") from error


def _check_schedule(settings: dict[str, Any], budget: Budget) -> None:
    """A schedule over `max_steps` needs them known, and the same for all curricula."""
    if budget.axis == "steps":
        return
    schedule, warmup = settings.get("lr_scheduler_type", "linear"), settings.get("warmup_steps") or 0
    if not schedule.startswith("constant") or 0 < warmup < 1:
        raise ValueError(
            f"lr_scheduler_type ({schedule}) with warmup_steps ({warmup}) follows max_steps, and under "
            f"a budget of {budget.axis} it is not known where a run ends; set constant(_with_warmup) "
            "and whole warmup_steps in the config, or give a budget in steps"
        )
