"""Pairs for preference training: the best completion of a group against its worst."""

from pathlib import Path

from rlkit.harvest.groups import (
    ROUNDING,
    Completion,
    Group,
    Harvest,
    best_of_prompts,
    provenance,
    read_groups,
)


def pairs(run: Path, margin: float = 0.0, per_prompt: int = 1) -> Harvest:
    """TRL's rows of `prompt`, `chosen` and `rejected`, in order of steps, with where each comes from.

    Args:
        margin: between the two signals, at the least; groups whose signals are equal give no pair anyway.
        per_prompt: at most so many of a prompt: of the widest margins, of those the latest.

    Raises:
        ValueError: nothing was kept.
    """
    groups, left = read_groups(run)
    several = [group for group in groups if len(group) > 1]
    left["in groups of two or more"] = sum(map(len, several))
    found = [pair for pair in map(extremes, several) if pair[0].signal > pair[1].signal]
    left["groups whose signals differ"] = len(found)
    unlike = [pair for pair in found if pair[0].completion != pair[1].completion]
    if len(unlike) < len(found):
        left["best and worst unlike"] = len(unlike)
    wide = [pair for pair in unlike if _margin(pair) >= margin - ROUNDING]
    if margin > 0:
        left[f"margin at least {margin:g}"] = len(wide)
    widest = sorted(wide, key=lambda pair: (-_margin(pair), -pair[0].step))
    kept = best_of_prompts(widest, lambda pair: pair[0].key, per_prompt)
    left[f"at most {per_prompt} a prompt"] = len(kept)
    rows = [
        {
            "prompt": best.prompt,
            "chosen": best.completion,
            "rejected": worst.completion,
            "margin": best.signal - worst.signal,
            **provenance(run, best),
            "rejected_reward": worst.reward,
        }
        for best, worst in sorted(kept, key=lambda pair: pair[0].step)
    ]
    return Harvest(rows, left)


def extremes(group: Group) -> tuple[Completion, Completion]:
    """The best and the worst. Of several best the shortest, of several worst the one nearest to it in length,
    so that length is no more of the difference than it must be."""
    highest, lowest = max(each.signal for each in group), min(each.signal for each in group)
    best = min((each for each in group if each.signal == highest), key=lambda each: each.tokens)
    worst = min(
        (each for each in group if each.signal == lowest), key=lambda each: abs(each.tokens - best.tokens)
    )
    return best, worst


def _margin(pair: tuple[Completion, Completion]) -> float:
    return pair[0].signal - pair[1].signal
