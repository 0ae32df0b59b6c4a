"""What went wrong in a run, in words, with advice: the guards that fired, and what the funnel lost."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlkit.record.guards import RULES
from rlkit.report.run_curves import total

Rows = Sequence[Mapping[str, Any]]


def problems(rows: Rows, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a problem: name, what happened, in how many steps and from where to where, advice.

    Args:
        config: the run's settings, as far as they are known: advice leaves out what the run does already.
    """
    in_use = {str(config.get("curriculum")), *(["beta"] if config.get("beta") else [])}
    return [*_alarms(rows, in_use), *_losses(rows)]


def _alarms(rows: Rows, in_use: set[str]) -> list[dict[str, Any]]:
    found = []
    for rule in RULES:
        steps = [row["step"] for row in rows if (row.get(f"guards/{rule.name}") or 0) > 0]
        if steps:
            more = [advice for advice, idle in rule.others if not idle & in_use]
            advice = ", or ".join([rule.advice, *more])
            text = (
                f"In {rule.steps} steps in a row or more, {rule.sign}." if rule.steps > 1 else f"{rule.sign}."
            )
            found.append(_problem(f"guard: {rule.name}", text[0].upper() + text[1:], steps, advice))
    return found


def _losses(rows: Rows) -> list[dict[str, Any]]:
    spent = total(rows, "rollouts/spent")
    graded = total(rows, "funnel/graded")
    trained = total(rows, "funnel/trained")
    told = []
    for name, column, whole, text, advice in (
        (
            "unscorable rewards",
            "rollouts/unscorable",
            spent,
            "completions had no reward and count as unscorable",
            "look what the reward function returns None for, or fails on; wrong answers should earn 0",
        ),
        (
            "failing rewards",
            "grade/error",
            spent,
            "completions were graded by a reward that raised, hung, or returned no finite number",
            "the log names the function and the error; mend it, or raise reward_timeout",
        ),
        (
            "retried generation",
            "generate/retried",
            0,
            "calls of the generation failed and were made again",
            "look at the log of the vLLM server: its memory, its restarts, the network",
        ),
        (
            "batches topped up",
            "funnel/topped_up",
            trained,
            "groups that the filter had dropped were trained on, since the rounds did not fill the batch",
            "raise max_rounds or candidates, widen the filter, or add prompts of the right difficulty",
        ),
        (
            "unscorable groups",
            "funnel/unscorable",
            graded,
            "groups were dropped because nothing in them could be scored",
            "see the rewards above",
        ),
    ):
        steps = [row["step"] for row in rows if (row.get(column) or 0) > 0]
        if steps:
            number = total(rows, column)
            share = f" ({number / whole:.1%} of {whole:,.0f})" if whole else ""
            told.append(_problem(name, f"{number:,.0f} {text}{share}.", steps, advice))
    return told + _states(rows)


def _states(rows: Rows) -> list[dict[str, Any]]:
    """What holds of steps rather than being counted."""
    told = []
    cut = [row["step"] for row in rows if 0.1 < (row.get("completions/clipped_ratio") or 0) <= 0.5]
    if cut:
        text = "More than a tenth of the completions were cut off at max_completion_length."
        told.append(_problem("truncated completions", text, cut, "raise max_completion_length"))
    short = [row["step"] for row in rows if row.get("funnel/trained") == 0]
    if short:
        text = "No group was left to train on."
        told.append(_problem("empty batches", text, short, "widen the filter, or add prompts"))
    counts = [row.get("signal/out_of_range") or 0 for row in rows]  # from the start of the run
    grown = zip(rows, counts, [0, *counts], strict=False)
    outside = [row["step"] for row, count, before in grown if count > before]
    if outside:
        text = "Signals left the declared range signal_min to signal_max."
        told.append(_problem("signal out of range", text, outside, "declare the range that the reward has"))
    alone = [row["step"] for row in rows if (row.get("guards/value_model") or 0) > 0]
    if alone:
        text = "The predictions were no better than the mean for long, and prompts were taken in order."
        advice = "try other value_features (docs/value_model.md), or leave it: it goes on by itself"
        told.append(_problem("value model set aside", text, alone, advice))
    if rows and (rows[-1].get("pool/unusable") or 0) > 0:
        text = (
            f"{rows[-1]['pool/unusable']:,.0f} prompts of the pool cannot be rolled out and are passed over."
        )
        steps = [row["step"] for row in rows if (row.get("pool/unusable") or 0) > 0]
        told.append(_problem("unusable prompts", text, steps, "the log says why, prompt by prompt"))
    return told


def _problem(name: str, text: str, steps: list[int], advice: str) -> dict[str, Any]:
    return {
        "name": name,
        "text": text,
        "steps": len(steps),
        "first": steps[0],
        "last": steps[-1],
        "advice": advice[0].upper() + advice[1:] + ".",
    }
