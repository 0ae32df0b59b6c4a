"""`rl`, `sft` and `preference`: a recipe through `rlkit launch`, from its last checkpoint where there is one.

Settings are the recipe's own (`config` names its YAML file); `launch` holds words for accelerate, as
`--config_file recipes/accelerate/fsdp2.yaml`, and `recipe` another script with the same settings.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, recipe, rlkit

FOLDER = "run"
SCRIPTS = {"rl": "grpo.py", "sft": "sft.py", "preference": "dpo.py"}
RL_COLUMNS = {"reward": "signal/all", "effective ratio": "effective_ratio"}
"""Numbers of an RL stage, by their names in metrics.jsonl."""
FILLED = ("output_dir", "resume", "model_name_or_path", "dataset_path")


def script_of(kind: Kind, settings: Mapping[str, Any]) -> str | None:
    """The recipe that a training stage runs; None for other kinds."""
    if kind.name not in SCRIPTS:
        return None
    return str(settings.get("recipe") or recipe(SCRIPTS[kind.name]))


def _command(name: str, call: Call) -> list[str]:
    settings = call.rest("launch", "recipe")
    script = str(call.settings.get("recipe") or recipe(SCRIPTS[name]))
    filled = {
        "model_name_or_path": call.one("model"),
        "dataset_path": call.one("data"),
        "output_dir": str(call.folder / FOLDER),
        "resume": "auto",
    }
    launch = shlex.split(str(call.settings.get("launch") or ""))
    return rlkit("launch", *launch, script, *options({**settings, **filled}, dashes=False))


def _rl_numbers(folder: Path) -> dict[str, float]:
    """Of the last tenth of the steps: the mean reward and the share of groups that taught."""
    rows = [json.loads(line) for line in (folder / FOLDER / "metrics.jsonl").read_text().splitlines()]
    if not rows:
        return {}
    last = rows[-max(len(rows) // 10, 1) :]
    found = {"steps": rows[-1]["step"]}
    for name, column in RL_COLUMNS.items():
        values = [row[column] for row in last if row.get(column) is not None]
        if values:
            found[name] = sum(values) / len(values)
    return found


def _trained_numbers(folder: Path) -> dict[str, float]:
    """The first and the last loss that were logged, and the steps."""
    history = json.loads((folder / FOLDER / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    steps = {"steps": history[-1]["step"]} if history else {}
    return {**steps, **({"first loss": losses[0], "last loss": losses[-1]} if losses else {})}


def _training(name: str, numbers: Callable[[Path], dict[str, float]], **makes: Made) -> Kind:
    return Kind(
        name,
        partial(_command, name),
        takes={"model": Take("model"), "data": Take("rows")},
        makes={"model": Made(FOLDER, "model"), **makes},
        numbers=numbers,
        resumes=True,
        filled=FILLED,
    )


RL = _training("rl", _rl_numbers, run=Made(FOLDER, "run"))
SFT = _training("sft", _trained_numbers)
PREFERENCE = _training("preference", _trained_numbers)
