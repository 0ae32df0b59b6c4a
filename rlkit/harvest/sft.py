"""Rows for supervised fine-tuning: a right completion of each group, the shortest or the likeliest."""

import json
from collections.abc import Callable
from pathlib import Path

from rlkit.harvest.groups import ROUNDING, Completion, Harvest, best_of_prompts, provenance, read_groups

Cost = Callable[[Completion], float]
"""What of a group's right completions the least is taken of."""


def tokens(completion: Completion) -> float:
    """The shortest completion is the cheapest."""
    return completion.tokens


def demonstrations(run: Path, right: float = 1.0, per_prompt: int = 1, cost: Cost = tokens) -> Harvest:
    """TRL's rows of `prompt` and `completion`, in order of steps, with where each comes from.

    Args:
        right: a completion whose signal is at least this is right.
        per_prompt: at most so many of a prompt, the cheapest; equal texts count once.
        cost: of a right completion; at equal costs the first is taken.

    Raises:
        ValueError: nothing was kept, or no completion is left: which rule left none.
    """
    groups, left = read_groups(run)
    groups = [[each for each in group if each.signal >= right - ROUNDING] for group in groups]
    left[f"right (signal at least {right:g})"] = sum(map(len, groups))
    costs = [[(cost(each), each) for each in group] for group in groups if group]
    chosen = [min(group, key=lambda pair: pair[0]) for group in costs]
    left["one a group"] = len(chosen)
    unlike = {(pair[1].key, json.dumps(pair[1].completion)): pair for pair in reversed(chosen)}
    left["unlike"] = len(unlike)
    cheapest = sorted(unlike.values(), key=lambda pair: (pair[0], pair[1].step))
    kept = best_of_prompts(cheapest, lambda pair: pair[1].key, per_prompt)
    left[f"at most {per_prompt} a prompt"] = len(kept)
    rows = [
        {"prompt": each.prompt, "completion": each.completion, **provenance(run, each)}
        for _, each in sorted(kept, key=lambda pair: pair[1].step)
    ]
    return Harvest(rows, left)
