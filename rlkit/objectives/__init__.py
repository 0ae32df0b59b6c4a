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


def _kind(place: str) -> Callable[..., Objective]:
    """The class at `module:name`; its module, and with it torch, loads when it is first asked for."""
    module, name = place.split(":")
    return getattr(import_module(f"rlkit.objectives.{module}"), name)


OBJECTIVES: dict[str, Listed] = {
    "judgements": Listed(
        "REINFORCE on what the policy wrote about prompts; the preset metis brings it along",
        "METIS, arXiv 2605.11235",
        lambda config: _kind("judgements:Judgements")(),
    ),
    "clip_b": Listed(
        "a token with A < 0 trains only if S = p (H + log p) is at most mu deviations below the mean",
        "Wang et al., arXiv 2602.03392; mu of Trinity-RFT",
        lambda config: _kind("clip_b:ClipB")(config.clip_b_mu),
    ),
    "clip_v": Listed(
        "as clip_b, against the mean of S over the vocabulary; masks at most a share of the tokens",
        "Wang et al., arXiv 2602.03392; numbers of Trinity-RFT",
        lambda config: _kind("clip_v:ClipV")(config.clip_v_mu, config.clip_v_share),
    ),
    "amft": Listed(
        "(1 - mu) L_RL + mu L_SFT on demonstrations; mu follows cos(grad L_val, grad L_SFT - grad L_RL)",
        "after AMFT, arXiv 2508.06944, whose published controller has the sign wrong",
        lambda config: _kind("amft:AMFT")(
            config.amft_validation,
            config.demonstration_column,
            config.amft_mu,
            config.amft_rate,
            config.amft_entropy_rate,
            config.amft_every,
            config.amft_warmup,
            config.amft_rows,
            config.demonstration_fail,
        ),
    ),
    "rmt": Listed(
        "L_RL + 0.1 L_NTP: the next-token loss on the text after a prompt, past the answer that RL trains",
        "RMT (Reinforcement Mid-Training), arXiv 2509.24375",
        lambda config: _kind("rmt:RMT")(config.reference_column, config.rmt_weight, config.rmt_rows),
    ),
    "relift": Listed(
        "a supervised step on M demonstrations of prompts that a group never solved, between generations",
        "ReLIFT, arXiv 2506.07527",
        lambda config: _kind("relift:ReLIFT")(
            config.relift_pairs, config.relift_alpha, config.demonstration_fail, config.demonstration_column
        ),
    ),
}

APART = {
    ("relift", "amft"): "both spend the demonstrations, one between and one inside of RL's steps",
    ("clip_b", "clip_v"): "both mask tokens by the same discriminator, and the masks would multiply",
}
"""Objectives that do not go together, and why."""

ObjectivesLike = str | ObjectivesConfig | Sequence[str | Objective] | None


def build_objectives(objectives: ObjectivesLike, brought: Sequence[str] = ()) -> list[Objective]:
    """The objectives of names joined by commas, of a config, or of a list of names and objects of one's own.

    `brought` are names that the curriculum brings along.

    Raises:
        ValueError: an unknown name, one given twice, some that do not go together, or numbers out of range.
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
    for pair, reason in APART.items():
        if set(pair) <= set(names):
            raise ValueError(f"objectives names {' and '.join(pair)}: {reason}; name one of them")
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
