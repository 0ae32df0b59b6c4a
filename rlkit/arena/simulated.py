"""One run with the simulated policy: settings from YAML and words, files as a trainer's."""

import difflib
import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from rlkit.curriculum.presets import build_curriculum, resolve_config
from rlkit.hosts.simulated.host import SimulationConfig, simulate
from rlkit.record.ledger import StepLog
from rlkit.settings.config import CurriculumConfig


def main(words: list[str]) -> None:
    """Runs the simulation of `--config FILE --field value ...` and writes metrics.jsonl and heldout.jsonl."""
    given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    settings = {**read_file(Path(given.pop("config"))), **given}
    folder, max_steps = Path(settings.pop("output_dir")), settings.pop("max_steps")
    simulation, curriculum = read_settings({**settings, "num_steps": max_steps})
    metrics, heldout = StepLog(folder / "metrics.jsonl"), StepLog(folder / "heldout.jsonl", -1)
    for row in simulate(build_curriculum(curriculum), simulation):
        metrics.write(row)
        heldout.write({"step": row["step"], "accuracy": row["accuracy"]})


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a YAML file for the simulator, without its `recipe`.

    Raises:
        ValueError: it does not exist, or holds no settings.
    """
    if not path.is_file():
        raise ValueError(f"config ({path}) does not exist; give a YAML file of settings")
    settings = yaml.safe_load(path.read_text())
    if not isinstance(settings, dict):
        raise ValueError(f"config ({path}) holds no settings; write one `name: value` a line")
    return {name: value for name, value in settings.items() if name != "recipe"}


def check_json(path: Path) -> None:
    """Raises ValueError where `write_json` could not write, before there is anything to write."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else f"is in no folder ({path.parent} does not exist)"
        raise ValueError(f"json ({path}) {what}; give the path of a file")


def write_json(
    path: Path,
    simulation: SimulationConfig,
    curriculum: CurriculumConfig,
    history: list[dict[str, float]],
    summary: dict[str, float],
) -> None:
    """`config` (what the preset resolved to), `summary` and `steps`; numbers that are not finite are null."""
    steps = [
        {name: value if math.isfinite(value) else None for name, value in row.items()} for row in history
    ]
    config = {**asdict(simulation), **resolve_config(curriculum).numbers()}
    path.write_text(json.dumps({"config": config, "summary": summary, "steps": steps}, indent=1))


def read_settings(settings: dict[str, Any]) -> tuple[SimulationConfig, CurriculumConfig]:
    """Each setting goes to the dataclass that has its field, as a number where the field's default is one.

    The curriculum has the simulation's seed, unless `curriculum_seed` is set.

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
    own = SimulationConfig(**simulation)
    return own, CurriculumConfig(**{"curriculum_seed": own.seed, **curriculum})


def _typed(value: Any, default: Any) -> Any:
    if isinstance(default, bool) or not isinstance(default, int | float):
        return yaml.safe_load(value) if isinstance(value, str) else value
    return type(default)(value)
