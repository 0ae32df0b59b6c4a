"""What a comparison found: a sentence a curriculum, and a picture of ratios to be read in ten seconds."""

from pathlib import Path
from typing import Any

WORDS = {"cheaper": "saves", "dearer": "is worse"}
STYLES = {"cheaper": ("tab:green", "o"), "dearer": ("tab:red", "X")}
"""Color and marker of a verdict; others are grey diamonds."""


def told_target(summary: dict) -> str | None:
    """The highest target that all of the baseline's runs reached, else the lowest; None without targets."""
    baseline = summary["curricula"][summary["baseline"]]
    cost = baseline["cost"]
    reached = [target for target in cost if cost[target]["rollouts"]["reached"] == baseline["runs"]]
    return max(reached, key=float) if reached else min(cost, key=float, default=None)


def sentences(summary: dict) -> list[str]:
    """One for each curriculum beside the baseline.

    "**rlkit** saves: x0.63 [0.60 to 0.66] of uniform's rollouts to 0.7, x0.77 [0.72 to 0.83] of its seconds."
    """
    target, baseline = told_target(summary), summary["baseline"]
    if target is None:
        return []
    lines = []
    for name, cost in _costs(summary, target).items():
        rollouts, seconds = cost["rollouts"], cost["seconds"]
        if rollouts["ratio"] is None:
            lines.append(f"**{name}**: no pair of runs says anything, since neither reached {target}.")
            continue
        verdict = WORDS.get(rollouts["verdict"], rollouts["verdict"])
        lines.append(
            f"**{name}** {verdict}: {_times(rollouts)} of {baseline}'s rollouts to {target}, "
            f"{_times(seconds)} of its seconds."
        )
    return lines


def plot_ratios(summary: dict, path: Path) -> None:
    """Writes a PNG: each curriculum's rollouts and seconds to the target, as a ratio to the baseline's.

    The best stands on top; a bar is the interval; an arrow says that the ratio is a bound.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, NullLocator

    target, baseline = told_target(summary), summary["baseline"]
    if target is None:
        return
    costs = {
        name: cost for name, cost in _costs(summary, target).items() if cost["rollouts"]["ratio"] is not None
    }
    names = sorted(costs, key=lambda name: -costs[name]["rollouts"]["ratio"])
    figure, panels = plt.subplots(
        1, 2, figsize=(11, 1.3 + 0.32 * max(len(names), 2)), sharey=True, layout="constrained"
    )
    for panel, axis in zip(panels, ("rollouts", "seconds"), strict=True):
        panel.axvline(1, color="black", linewidth=1)
        for row, name in enumerate(names):
            entry = costs[name][axis]
            low, high = entry["interval"]
            color, marker = STYLES.get(entry["verdict"], ("tab:gray", "D"))
            panel.plot([low, high], [row, row], color=color, linewidth=2.5, alpha=0.6)
            panel.plot(entry["ratio"], row, marker, color=color, markersize=7)
            arrow = {"at least": " →", "at most": " ←"}.get(entry["bound"], "")
            panel.annotate(
                f"{entry['ratio']:.2f}{arrow}",
                (high, row),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        panel.set_xscale("log")
        panel.margins(x=0.12)
        panel.set_ylim(-0.6, len(names) - 0.4)
        panel.set_xlabel(f"{axis} to {target} beside {baseline}'s\n(left is better)")
        panel.xaxis.set_major_locator(FixedLocator([0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8]))
        panel.xaxis.set_major_formatter(lambda value, _: f"x{value:g}")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(names)), names)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _costs(summary: dict, target: str) -> dict[str, dict[str, Any]]:
    """Cost to reach the target of each curriculum beside the baseline, by axis."""
    entries = {name: entry["cost"][target] for name, entry in summary["curricula"].items()}
    del entries[summary["baseline"]]
    return entries


def _times(entry: dict[str, Any]) -> str:
    """x0.62 [0.50 to 0.75]"""
    if entry["ratio"] is None:
        return "an unknown share"
    bound = "" if entry["bound"] is None else f"{entry['bound']} "
    low, high = entry["interval"]
    return f"{bound}x{entry['ratio']:.2f} [{low:.2f} to {high:.2f}]"
