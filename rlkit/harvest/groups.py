"""The kept completions of a run by their groups: those of one prompt at one step."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.record.completions import read_completions
from rlkit.record.ledger import read_ledger
from rlkit.record.messages import restored
from rlkit.report.run_files import check_run, read_config

ROUNDING = 1e-6
"""Signals are kept as float32: 0.9 comes back as 0.89999998."""


class Completion(NamedTuple):
    """One completion: texts or messages; the prompt's key; generated tokens; its signal; its total reward,
    None where no function gave one."""

    prompt: Any
    completion: Any
    key: int
    step: int
    tokens: int
    signal: float
    reward: float | None


Group = list[Completion]


class Harvest(NamedTuple):
    """What was chosen, and how many completions or groups each rule left."""

    rows: list[dict[str, Any]]
    left: dict[str, int]


def read_groups(run: Path) -> tuple[list[Group], dict[str, int]]:
    """The groups in order, without what was not scored or was helped by hints, and how many were left.

    Raises:
        ValueError: not a run's folder, or one that kept no completions.
    """
    check_run(run)
    table = read_completions(run)
    if len(table) == 0:
        keep = read_config(run).get("keep_completions")
        raise ValueError(
            f"run ({run}) kept no completions{f' (keep_completions: {keep})' if keep == 'none' else ''}; "
            "train with keep_completions: all (docs/report.md)"
        )
    aided = _aided(run)
    groups: dict[tuple[int, int], Group] = {}
    num_scored = 0
    for row in table.to_pylist():
        if not _is_number(row["signal"]):
            continue
        num_scored += 1
        if not _is_number(row["reward"]):
            row["reward"] = None  # NaN is no JSON
        place = row["generation"], row["index"]
        if place not in aided:
            groups.setdefault(place, []).append(
                Completion(
                    restored(row["prompt"], row["chat"]),
                    restored(row["completion"], row["chat"]),
                    *(row[name] for name in ("key", "step", "tokens", "signal", "reward")),
                )
            )
    left = {"completions kept": len(table), "with a signal": num_scored}
    if aided:
        left["without hints"] = sum(map(len, groups.values()))
    return list(groups.values()), left


def provenance(run: Path, completion: Completion) -> dict[str, Any]:
    """Where a row comes from; the key as 16 hexadecimal digits, which every JSON reader keeps whole."""
    return {
        "run": str(run),
        "step": completion.step,
        "key": f"{completion.key:016x}",
        "signal": completion.signal,
        "reward": completion.reward,
    }


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def best_of_prompts(ordered: list[Any], key_of: Any, most: int) -> list[Any]:
    """The first `most` of each prompt, in the order given."""
    taken: dict[Any, int] = {}
    kept = []
    for item in ordered:
        if taken.get(key_of(item), 0) < most:
            taken[key_of(item)] = taken.get(key_of(item), 0) + 1
            kept.append(item)
    return kept


def _aided(run: Path) -> set[tuple[int, int]]:
    """Groups whose prompts got a part of their solutions: as (generation, index)."""
    table = read_ledger(run / "ledger")
    if len(table) == 0:
        return set()
    rows = np.flatnonzero(np.nan_to_num(table["share"].to_numpy()) > 0)
    chosen = table.take(rows)
    return set(zip(chosen["generation"].to_pylist(), chosen["index"].to_pylist(), strict=True))
