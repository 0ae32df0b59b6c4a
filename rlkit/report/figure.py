"""The picture of a comparison: held-out accuracy against each axis, one line a run."""

from pathlib import Path

from rlkit.report.curves import AXES, Curve


def plot_curves(curves: dict[str, list[Curve]], path: Path, title: str) -> None:
    """Writes a PNG with four panels. A curriculum's runs share a color; with several runs each is drawn thin.

    Args:
        curves: curriculum -> its runs, one a seed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        1, len(AXES), figsize=(4 * len(AXES), 3.6), sharey=True, layout="constrained"
    )
    for panel, axis in zip(panels, AXES, strict=True):
        for color, (name, runs) in zip(plt.colormaps["tab10"].colors, curves.items(), strict=False):  # type: ignore[attr-defined]
            for number, curve in enumerate(runs):
                panel.plot(
                    curve.cost[axis],
                    curve.accuracy_E,
                    color=color,
                    linewidth=2 if len(runs) == 1 else 1,
                    alpha=1 if len(runs) == 1 else 0.6,
                    label=name if number == 0 else None,
                )
        panel.set_xlabel(axis if axis != "seconds" else "seconds (selection included)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("held-out accuracy")
    panels[0].legend(loc="lower right")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)
