"""Files that a stage's settings name: it depends on what is in them. Of folders this is not so, as many are
written to by the command (`logging_dir`); they are said."""

import os
import re
from collections.abc import Iterator
from typing import Any

from rlkit.pipeline.plan import Plan, Stage


def named_files(stage: Stage) -> list[str]:
    """As they are written, also as FILE.py:function, NAME=FILE or a word of a command; not its outputs."""
    return sorted({word for word in _words(_read(stage)) if os.path.isfile(word)})


def unwatched_folders(plan: Plan) -> list[str]:
    """A sentence for each stage whose settings name folders, by paths with a slash."""
    found = {}
    for stage in plan.stages:
        folders = sorted({word for word in _words(_read(stage)) if "/" in word and os.path.isdir(word)})
        if folders:
            found[re.sub(r"/\d+/", "/", stage.name)] = (
                f"{', '.join(folders)} (settings of {stage.name}): changes in a folder are not noticed; put "
                "it among what the stage takes if it reads it"
            )
    return list(found.values())


def _read(stage: Stage) -> list[Any]:
    """The settings but for what a `run` stage writes."""
    return [value for name, value in stage.settings.items() if name != "outputs"]


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _words(each)
    elif isinstance(value, str):
        yield from filter(None, (value, *re.split(r"[\s,=:]+", value)))
