"""Rows chosen by rules, one after the other; what each rule left is counted, so that the one that leaves
nothing can be named."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.evaluate.overlap import find_overlaps, prompt_texts
from rlkit.settings.columns import value_of

Rows = list[dict[str, Any]]
Rule = Callable[[Rows], Rows]


def select(rows: Rows, rules: Mapping[str, Rule]) -> tuple[Rows, dict[str, int]]:
    """The rows that every rule keeps, and how many there were after each.

    Raises:
        ValueError: a rule left none: which, and how many there were before it.
    """
    counts = {"rows": len(rows)}
    for name, rule in rules.items():
        kept = rule(rows)
        if not kept:
            raise ValueError(f"{name} leaves none of {len(rows)} rows; widen it, or look at what it is given")
        rows, counts[name] = kept, len(kept)
    return rows, counts


def by_pass_rate(low: float, high: float) -> Rule:
    """Rows whose `pass_rate` lies in [low, high]."""

    def rule(rows: Rows) -> Rows:
        for position, row in enumerate(rows):
            if "pass_rate" not in row:
                raise ValueError(f"row {position} has no pass_rate; measure it by `rlkit score`")
        return [row for row in rows if row["pass_rate"] is not None and low <= row["pass_rate"] <= high]

    return rule


def by_perplexity(low: float, high: float, measure: Callable[[Rows], np.ndarray]) -> Rule:
    """Rows between two quantiles of the perplexity, which becomes a column.

    BFS-Prover-V2 (arXiv 2509.06493) drops both tails: what is too easy for the model, and what is too far
    from it or noise. Where it cuts was not published.
    """

    def rule(rows: Rows) -> Rows:
        value_N = measure(rows)
        least, most = np.quantile(value_N, [low, high])
        return [
            {**row, "perplexity": float(value)}
            for row, value in zip(rows, value_N, strict=True)
            if least <= value <= most
        ]

    return rule


def in_failed_buckets(diagnosis: Mapping[str, Any]) -> Rule:
    """Rows of the categories that failed, by what `rlkit diagnose` wrote."""
    failed = {bucket["name"] for bucket in diagnosis["buckets"] if bucket["failed"]}
    return lambda rows: [row for row in rows if str(value_of(row, diagnosis["by"])) in failed]


def without(problems: Sequence[str], column: str) -> Rule:
    """Rows that hold no problem of a benchmark (overlap.py says what counts)."""

    def rule(rows: Rows) -> Rows:
        texts = prompt_texts(rows, "prompt" if column not in rows[0] and "prompt" in rows[0] else column)
        left = list(range(len(rows)))
        # Of the rows that hold one problem only the nearest is told, so ask until there is none.
        while overlaps := find_overlaps(problems, (texts[position] for position in left)):
            gone = {left[overlap.row] for overlap in overlaps}
            left = [position for position in left if position not in gone]
        return [rows[position] for position in left]

    return rule


def at_most(num: int, seed: int) -> Rule:
    """So many of the rows, drawn at random, in their order."""

    def rule(rows: Rows) -> Rows:
        order = np.random.default_rng(seed).permutation(len(rows))[:num]
        return [rows[position] for position in sorted(order)]

    return rule


def mixed_with(others: Rows, share: float, seed: int) -> Rule:
    """The rows and, drawn at random, so many others that these are `share` of all."""

    def rule(rows: Rows) -> Rows:
        wanted = round(len(rows) * share / (1 - share))
        return [*rows, *at_most(wanted, seed)(others)]

    return rule
