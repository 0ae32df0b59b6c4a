"""Settings that a stage's command does not have, said before anything runs."""

import importlib.util
import sys
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from rlkit.pipeline.kinds.training import script_of
from rlkit.pipeline.plan import Plan, Stage
from rlkit.pipeline.read import nearest

OF_THE_KIND = {"launch", "recipe", "config"}
"""Settings of training stages that no recipe has itself."""


def check_settings(plan: Plan, commands: Mapping[str, Collection[str]]) -> None:
    """Raises ValueError for the first setting that its stage's command does not have.

    Args:
        commands: the settings of the commands of `rlkit`, by kind.
    """
    for stage in plan.stages:
        known = commands.get(stage.kind.name) or _of_recipe(stage)
        for name in stage.settings:
            if known is not None and name not in known:
                raise ValueError(
                    f"stage {stage.name} ({stage.kind.name}) has no setting {name!r}{_hint(name, known)}"
                )


def _hint(name: str, known: Collection[str]) -> str:
    hint = nearest(name, known)
    return hint if "did you mean" in hint else "; remove it"


def _of_recipe(stage: Stage) -> Collection[str] | None:
    """Those of a training stage's recipe; None where the recipe does not say them, or there is none."""
    script = script_of(stage.kind, stage.settings)
    return None if script is None else _recipe_settings(script)


@lru_cache(maxsize=8)
def _recipe_settings(script: str) -> Collection[str] | None:
    """The fields of the dataclasses in a recipe's `ARGUMENTS`."""
    path = Path(script)
    if not path.is_file():
        raise ValueError(f"recipe ({script}): there is no such file (relative paths start at {Path.cwd()})")
    spec = importlib.util.spec_from_file_location(f"rlkit_recipe_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    classes = getattr(module, "ARGUMENTS", None)
    if classes is None:
        return None
    return (
        OF_THE_KIND
        | {field.name for each in classes for field in fields(each)}
        | {"activation_checkpointing"}
    )
