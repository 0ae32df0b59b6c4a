"""The answer to each of the page's questions in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def sentences(run: Mapping[str, Any], rows: Rows) -> dict[str, str]:
    """By section of the page.

    Args:
        run: the page's data of it.
        rows: the lines of its `metrics.jsonl`.
    """
    if not rows:
        waiting = "The run has not finished a step yet."
        return dict.fromkeys(
            ("learning", "training", "knowledge", "prompts", "completions", "problems", "cost"), waiting
        )
    return {
        "learning": _learning(run, rows),
        "training": _training(run["funnel"], run["cost"]["rollouts"]["spent"]),
        "knowledge": _knowledge(run["calibration"]),
        "prompts": _prompts(run["prompts"]),
        "completions": _completions(run["completions"]),
        "problems": _problems(run["problems"]),
        "cost": _cost(run["cost"]),
    }


def _learning(run: Mapping[str, Any], rows: Rows) -> str:
    name, values = _measure(run, rows)
    steps = _count(rows[-1]["step"], "step")
    spent = f"{rows[-1].get('rollouts/spent_total') or 0:,.0f} rollouts"
    if not values:
        return f"{steps} and {spent} so far; nothing that shows success was recorded."
    first, last = values
    change = "rose" if last - first > 0.005 else "fell" if first - last > 0.005 else "stayed"
    how = f"at {last:.3g}" if change == "stayed" else f"from {first:.3g} to {last:.3g}"
    return f"{name} {change} {how} in {steps} ({spent})."


def _measure(run: Mapping[str, Any], rows: Rows) -> tuple[str, tuple[float, float] | None]:
    """The first held-out measure with several values; else the signal of the first and last tenth."""
    for name, curve in run["evaluations"].items():
        if len(curve["value"]) > 1:
            return f"Held-out {name}", (curve["value"][0], curve["value"][-1])
    signal = [row["signal/all"] for row in rows if row.get("signal/all") is not None]
    if not signal:
        return "", None
    tenth = max(len(signal) // 10, 1)
    return "The mean signal of what was rolled out", (
        sum(signal[:tenth]) / tenth,
        sum(signal[-tenth:]) / tenth,
    )


def _training(found: Mapping[str, float], spent: float) -> str:
    candidates, graded, trained = found["candidates"], found["graded"], found["trained"]
    if not trained:
        return f"{_count(graded, 'group')} were rolled out, and none was trained on."
    nothing = max(1 - found["useful_rollouts"] / spent, 0.0) if spent else 0.0
    return (
        f"Of {candidates:,.0f} candidates {graded:,.0f} groups were rolled out and {trained:,.0f} trained "
        f"on; {found['informative'] / trained:.0%} of these had rewards that differ. {nothing:.0%} of the "
        "rollouts taught nothing."
    )


def _knowledge(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "This curriculum predicts nothing: it does not tell prompts apart before they are rolled out."
    explained, possible = found["whole"]["explained"], found["whole"]["possible"]
    if explained is None:
        return "All groups had the same success, so that there was nothing to predict."
    if not possible or explained <= 0:
        return "Over the run its predictions were no better than the mean of all groups."
    late = found["last"]["explained"]
    of_late = "nothing" if late is None or late <= 0 else f"{late:.0%}"
    return (
        f"Its predictions explain {explained:.0%} of how groups differ in success; the true probabilities "
        f"would explain {possible:.0%}, so it knows {min(explained / possible, 1):.0%} of what an oracle "
        f"knows. Of the last {found['last']['groups']} groups they explain {of_late}."
    )


def _prompts(found: Mapping[str, Any]) -> str:
    tables, visited, pool = found["tables"], found["visited"], found["pool"]
    if not visited:
        return "The ledger has no groups yet: it is written at every checkpoint."
    of = f"{visited:,} of {pool:,} prompts were" if pool else f"{_count(visited, 'prompt')} were"
    parts = ", ".join(f"{tables[name]['number']:,} {name}" for name in tables)
    return f"{of} visited: {parts}."


def _completions(found: Mapping[str, Any]) -> str:
    if not found["kept"]:
        return "No completions were kept; set keep_completions to extremes or all to read some here."
    prompts = {row["index"] for row in found["rows"]}
    shown = len(found["rows"])
    some = "" if shown == found["kept"] else f", {shown:,} of them here"
    return f"{found['kept']:,} completions were kept{some}, of {_count(len(prompts), 'prompt')}."


def _problems(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "Nothing that a run watches for went wrong."
    return f"{_count(len(found), 'thing')} to look at: {', '.join(problem['name'] for problem in found)}."


def _cost(found: Mapping[str, Any]) -> str:
    seconds = found["seconds"]
    whole = sum(seconds.values())
    if not whole:
        return "The run did not record its seconds."
    shares = ", ".join(f"{stage} {value / whole:.0%}" for stage, value in seconds.items() if value)
    plain = found["plain_steps"]["seconds"]
    more = (
        f" Without the curriculum's own cost ({found['own_seconds'] / whole:.0%}) the same time would have "
        f"bought {plain:,.0f} plain steps instead of {found['steps']:,}."
        if plain
        else ""
    )
    return f"{duration(whole)}: {shares}.{more}"


def duration(seconds: float) -> str:
    """duration(59.9) -> "60 s"; duration(90) -> "1.5 min"; duration(7200) -> "2.0 h" """
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count(number: float, word: str) -> str:
    """_count(1, "step") -> "1 step" """
    return f"{number:,.0f} {word}{'' if number == 1 else 's'}"
