"""`summary.json` of a comparison as Markdown."""

from collections.abc import Callable, Iterable

from rlkit.report.findings import sentences
from rlkit.settings.budget import AXES

NOTES = """\
Brackets: 95% interval of the paired bootstrap over the runs, resampled by start. "No difference shown": it
includes equality. Ratios are to the baseline, below 1 is cheaper. A run that ended before it reached the
target is censored and counts with what it spent: "at least" and "at most" say which way the ratio can only
move then, "unbounded" that it can move both ways, since runs of both were censored; pairs in which neither
arrived are left out. Mean costs are of the runs that reached the target.
Seconds include selection, but not evaluation and saving."""


def to_markdown(summary: dict) -> str:
    """The report: accuracy at equal cost, cost at equal accuracy, what selection did and took."""
    parts = [
        _heading(summary),
        *_found(summary),
        *_tuned(summary),
        "## Held-out accuracy at equal cost",
        "At the largest cost that every run reached.",
        accuracy_table(summary),
        "## Cost to reach an accuracy",
        _targets(summary),
        cost_table(summary),
        "## Selection",
        "Means over the runs; calibration is that of the last predictions.",
        account_table(summary),
        "## How to read this",
        NOTES,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def accuracy_table(summary: dict) -> str:
    def cell(name: str, axis: str) -> str:
        entry = summary["curricula"][name]["accuracy"][axis]
        mean = _number(entry["mean"], "{:.3f}")
        if name == summary["baseline"] or entry["difference"] is None:
            return mean
        interval = _interval(entry["interval"], "{:+.3f}")
        return f"{mean} ({entry['difference']:+.3f} [{interval}], {entry['verdict']})"

    head = ["curriculum", *(f"{amount(cost)} {axis}" for axis, cost in summary["equal_cost"].items())]
    return _table(head, ([name, *_cells(cell, name)] for name in summary["curricula"]))


def cost_table(summary: dict) -> str:
    if not summary["targets"]:
        return ""
    rows = []
    for target in next(iter(summary["curricula"].values()))["cost"]:

        def cell(name: str, axis: str, target: str = target) -> str:
            return cost_text(summary["curricula"][name]["cost"][target][axis], name == summary["baseline"])

        for name, entry in summary["curricula"].items():
            reached = f"{entry['cost'][target]['steps']['reached']} of {entry['runs']}"
            rows.append([target, name, reached, *_cells(cell, name)])
    return _table(["to reach", "curriculum", "reached", *AXES], rows)


def cost_text(entry: dict, is_baseline: bool) -> str:
    """Mean cost, ratio, interval, verdict. "5,120 (x0.62 [0.50 to 0.75], cheaper)" """
    mean = amount(entry["mean"])
    if is_baseline:
        return mean
    if entry["ratio"] is None:
        return f"{mean} (no pair to compare)"
    bound = "" if entry["bound"] is None else f"{entry['bound']} "
    interval = _interval(entry["interval"], "{:.2f}")
    return f"{mean} ({bound}x{entry['ratio']:.2f} [{interval}], {entry['verdict']})"


def account_table(summary: dict) -> str:
    head = ["curriculum", "runs", "effective ratio", "selection, s", "share of seconds"]
    head += ["Brier", "Spearman", "explained variance"]
    rows = []
    for name, entry in summary["curricula"].items():
        calibration = entry["calibration"]
        rows.append(
            [
                name,
                str(entry["runs"]),
                _number(entry["effective_ratio"], "{:.2f}"),
                _number(entry["selection_seconds"], "{:.2f}"),
                _number(entry["selection_share"], "{:.1%}"),
                _number(calibration["brier"], "{:.3f}"),
                _number(calibration["spearman"], "{:.2f}"),
                _number(calibration["explained_variance"], "{:.2f}"),
            ]
        )
    return _table(head, rows)


def _found(summary: dict) -> list[str]:
    told = sentences(summary)
    return ["## What was found", "\n".join(f"- {line}" for line in told)] if told else []


def _tuned(summary: dict) -> list[str]:
    """Each curriculum's score at each value, and which one was taken."""
    tuned = summary.get("tuned")
    if not tuned:
        return []
    first = next(iter(tuned.values()))
    values = list(first["scores"])

    def cell(entry: dict, value: str) -> str:
        if value not in entry["scores"]:
            return "-"
        text = "diverged" if entry["scores"][value] is None else f"{entry['scores'][value]:.3f}"
        return f"**{text}**" if value == entry["value"] else text

    note = (
        "Held-out accuracy in the mean over the budget of a value's last rung, on starts that are not "
        "measured below; **bold** was chosen. Values that left early had less to spend: their scores do not "
        "compare."
    )
    if edge := [name for name, entry in tuned.items() if entry["edge"]]:
        note += f" At the edge of the grid, so that a wider one may be better: {', '.join(edge)}."
    rows = ([name, *(cell(entry, value) for value in values)] for name, entry in tuned.items())
    return [f"## Tuned: {first['field']}", note, _table(["curriculum", *values], rows)]


def _heading(summary: dict) -> str:
    lines = [f"# {', '.join(summary['curricula'])}: a comparison"]
    if "config" in summary:
        varied = f", each at {summary['vary']}" if summary["vary"] else ""
        lines += [
            f"`{summary['config']}`, budget {summary['budget']} a run, seeds "
            f"{', '.join(map(str, summary['seeds']))}{varied}. Baseline: {summary['baseline']}."
        ]
    if summary.get("failed"):
        lines += [f"**Failed and left out: {', '.join(summary['failed'])}.**"]
    return "\n\n".join(lines)


def _targets(summary: dict) -> str:
    if not summary["targets"]:
        return "The baseline gained nothing, so that no target follows from it; set targets by hand."
    if summary["targets_from_baseline"]:
        return (
            "The targets are the baseline's start plus half and four fifths of what it gained: chosen after "
            "the runs, so set them by hand for a claim."
        )
    return ""


def _cells(cell: Callable[[str, str], str], name: str) -> list[str]:
    return [cell(name, axis) for axis in AXES]


def amount(cost: float | None) -> str:
    """12345.6 -> "12,346"; 0.1234 -> "0.12" """
    return "-" if cost is None else f"{cost:,.0f}" if cost >= 10 else f"{cost:.2g}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _interval(bounds: list[float], form: str) -> str:
    return " to ".join(form.format(bound) for bound in bounds)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
