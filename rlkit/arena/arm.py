"""A curriculum of a comparison: a preset, perhaps with settings of its own, as `rlkit:headroom=0`."""

from typing import Any

import yaml

from rlkit.curriculum.changes import typed
from rlkit.curriculum.presets import OF_ALL, PRESETS, resolve_config
from rlkit.settings.config import CurriculumConfig

OF_PRESETS = {name for preset in PRESETS.values() for name in preset.numbers}


def split_arms(text: str) -> tuple[str, ...]:
    """split_arms("pcl, rlkit:value_features=text,past") -> ("pcl", "rlkit:value_features=text,past")

    What begins with no preset's name goes on with the value before it.
    """
    arms: list[str] = []
    for piece in map(str.strip, text.split(",")):
        if arms and "=" in arms[-1] and piece.partition(":")[0] not in PRESETS:
            arms[-1] += f",{piece}"
        else:
            arms.append(piece)
    return tuple(arms)


def parse_arm(text: str) -> tuple[str, dict[str, Any]]:
    """parse_arm("rlkit:headroom=0:candidates=16") -> ("rlkit", {"headroom": 0, "candidates": 16})

    Any field of the recipe can be set: `uniform:num_generations=16`.

    Raises:
        ValueError: no preset has this name, it does not use a number, or the number is impossible. Other
            fields are left to the recipe.
    """
    preset, *parts = text.split(":")
    settings: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not (name and equals and value) or name in settings or name == "curriculum":
            raise ValueError(
                f"curricula ({text!r}) must be PRESET or PRESET:FIELD=VALUE:FIELD=VALUE, each field once, "
                "such as rlkit:headroom=0"
            )
        settings[name] = yaml.safe_load(value)
    numbers = {name: typed(name, settings[name]) for name in settings.keys() & {*OF_ALL, *OF_PRESETS}}
    resolve_config(CurriculumConfig(preset, **numbers))
    unused = sorted(settings.keys() & OF_PRESETS - {*OF_ALL, *PRESETS[preset].numbers})
    if unused:
        raise ValueError(
            f"curricula ({text!r}): {preset} does not use {', '.join(unused)}; it has "
            f"{', '.join(sorted(PRESETS[preset].numbers))}"
        )
    return preset, {**settings, **numbers}
