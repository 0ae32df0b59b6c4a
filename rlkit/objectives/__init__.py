"""What the update learns from beside GRPO's loss: one file an objective, composed by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from rlkit.objectives.objective import Objective
from rlkit.settings.objectives import ObjectivesConfig

__all__ = ["OBJECTIVES", "Listed", "Objective", "ObjectivesConfig", "ObjectivesLike", "build_objectives"]


@dataclass(frozen=True, slots=True)
class Listed:
    """An objective by name: its rule in a line, its source, and how it is made from the settings."""

    rule: str
    source: str
    make: Callable[[ObjectivesConfig], Objective]


def _kind(place: str) -> type[Objective]:
    """The class at `module:name`; its module, and with it torch, loads when it is first asked for."""
    module, name = place.split(":")
    return getattr(import_module(f"rlkit.objectives.{module}"), name)


OBJECTIVES: dict[str, Listed] = {
    "judgements": Listed(
        "REINFORCE on what the policy wrote about prompts; the preset metis brings it along",
        "METIS, arXiv 2605.11235",
        lambda config: _kind("judgements:Judgements")(),
    ),
}

ObjectivesLike = str | ObjectivesConfig | Sequence[str | Objective] | None


def build_objectives(objectives: ObjectivesLike, brought: Sequence[str] = ()) -> list[Objective]:
    """The objectives of names joined by commas, of a config, or of a list of names and objects of one's own.

    `brought` are names that the curriculum brings along.

    Raises:
        ValueError: an unknown name, one given twice, or numbers out of range.
    """
    config = objectives if isinstance(objectives, ObjectivesConfig) else ObjectivesConfig()
    config.validate()
    if isinstance(objectives, str):
        given: list[str | Objective] = list(ObjectivesConfig(objectives).names())
    elif isinstance(objectives, ObjectivesConfig):
        given = list(objectives.names())
    else:
        given = list(objectives or [])
    given += [name for name in brought if name not in given]
    made = [_made(item, config) for item in given]
    names = [objective.name for objective in made]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"objectives names {name!r} {names.count(name)} times; name each once")
    return made


def _made(item: str | Objective, config: ObjectivesConfig) -> Objective:
    if isinstance(item, Objective):
        return item
    if not isinstance(item, str):
        raise ValueError(
            f"objectives holds {item!r}; give names, or objects of a subclass of rlkit.objectives.Objective"
        )
    if item not in OBJECTIVES:
        nearest = get_close_matches(item, OBJECTIVES, n=1)
        meant = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(f"objectives names {item!r}{meant}; there are: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[item].make(config)
