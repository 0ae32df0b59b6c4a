"""One run with the simulated policy: settings from YAML and words, files as a trainer's."""

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from rlkit.config import CurriculumConfig
from rlkit.curriculum.presets import build_curriculum
from rlkit.hosts.simulated import SimulationConfig, simulate
from rlkit.ledger import StepLog


def main(words: list[str]) -> None:
    """Runs the simulation of `--config FILE --field value ...` and writes metrics.jsonl and heldout.jsonl."""
    given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    settings = {**yaml.safe_load(Path(given.pop("config")).read_text()), **given}
    folder, max_steps = Path(settings.pop("output_dir")), settings.pop("max_steps")
    settings.pop("recipe", None)
    settings |= {"num_steps": max_steps, "curriculum_seed": settings["seed"]}
    simulation, curriculum = read_settings(settings)
    metrics, heldout = StepLog(folder / "metrics.jsonl"), StepLog(folder / "heldout.jsonl", -1)
    for row in simulate(build_curriculum(curriculum), simulation):
        metrics.write(row)
        heldout.write({"step": row["step"], "accuracy": row["accuracy"]})


def read_settings(settings: dict[str, Any]) -> tuple[SimulationConfig, CurriculumConfig]:
    """Each setting goes to the dataclass that has its field, as a number where the field's default is one.

    Raises:
        ValueError: neither has the field; the nearest that exists.
    """
    known = {item.name: item for item in (*fields(SimulationConfig), *fields(CurriculumConfig))}
    unknown = [name for name in settings if name not in known]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], known, n=1) or [f"one of {', '.join(known)}"]
        raise ValueError(f"unknown settings: {', '.join(map(repr, unknown))} (did you mean {nearest[0]}?)")
    values = {name: _typed(value, known[name].default) for name, value in settings.items()}
    simulation, curriculum = (
        {item.name: values[item.name] for item in fields(kind) if item.name in values}
        for kind in (SimulationConfig, CurriculumConfig)
    )
    return SimulationConfig(**simulation), CurriculumConfig(**curriculum)


def _typed(value: Any, default: Any) -> Any:
    if isinstance(default, bool) or not isinstance(default, int | float):
        return yaml.safe_load(value) if isinstance(value, str) else value
    return type(default)(value)
