"""What a run cost, and what the same budget would have bought without the curriculum's own cost.

    own cost of a step = selection + (generation + grading) of the completions that no update saw
    a plain step       = update + the rest of generation and grading

A plain step trains on as many completions, taken as they come. The comparison says how many of those the same
seconds, or rollouts, would have paid for; not how much the policy would have learned from them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.report.run_curves import total

STAGES = ("selection", "generation", "grading", "update")


def cost(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds by stage, rollouts and tokens, and the plain steps that they would have bought."""
    seconds = {stage: total(rows, f"seconds/{stage}") for stage in STAGES}
    spent, trained = total(rows, "rollouts/spent"), total(rows, "rollouts/trained")
    fresh = max(trained - total(rows, "rollouts/stale"), 0.0)
    wasted = max(spent - fresh, 0.0) / spent if spent else 0.0
    own = seconds["selection"] + wasted * (seconds["generation"] + seconds["grading"])
    all_seconds = sum(seconds.values())
    return {
        "seconds": seconds,
        "rollouts": {"spent": spent, "trained": trained, "fresh_trained": fresh},
        "tokens": total(rows, "tokens/generated"),
        "steps": len(rows),
        "own_seconds": own,
        "wasted_share": wasted,
        "plain_steps": {
            "seconds": _steps(len(rows), all_seconds, all_seconds - own),
            "rollouts": _steps(len(rows), spent, trained),
        },
    }


def _steps(num_steps: int, spent: float, plain: float) -> float | None:
    """Plain steps for the same: num_steps of `plain` altogether, against what was `spent`."""
    return num_steps * spent / plain if plain > 0 else None
