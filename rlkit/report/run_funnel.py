"""The funnel over the whole run: candidates, rolled out, dropped by reason, trained, informative."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.curriculum.filters import REASONS
from rlkit.report.run_curves import total

ASYNCHRONOUS = ("stale", "lost", "unused")
"""Reasons of asynchronous runs alone."""
COUNTS = ("candidates", "graded", "trained", "topped_up", *REASONS, *ASYNCHRONOUS)


def whole_funnel(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Groups of each kind, the reasons of drops among them; and completions whose groups had a gradient.

    "informative" are trained groups whose rewards differ, "useful_rollouts" their completions.
    """
    return {
        **{name: total(rows, f"funnel/{name}") for name in COUNTS},
        "informative": _times_ratio(rows, "funnel/trained"),
        "useful_rollouts": _times_ratio(rows, "rollouts/trained"),
    }


def _times_ratio(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum((row.get("effective_ratio") or 0.0) * (row.get(name) or 0.0) for row in rows)
