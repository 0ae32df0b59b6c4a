"""Two evaluated models against each other, problem by problem, from what `rlkit eval` left on disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.evaluate.paired import Difference, accuracy_difference, mean_difference
from rlkit.evaluate.statistics import ock_score
from rlkit.evaluate.store import DIGESTS, read_rows

POOLED = "all problems"
OF_THE_MODEL = ("model", "fingerprint", "versions")
"""What two manifests may differ in without a note."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One problem: correct samples of how many, and means over them of generated and of all tokens."""

    correct: int
    num_samples: int
    tokens: float
    total_tokens: float


@dataclass(frozen=True)
class Comparison:
    """One benchmark, or all of them pooled: B minus A over the problems that both have and can score.

    Accuracies are shares; `tokens` are means of generated tokens, a completion, over problems.
    """

    benchmark: str
    num_problems: int
    accuracy: tuple[float, float]
    accuracy_difference: Difference
    tokens: tuple[float, float]
    tokens_difference: Difference
    ock_score: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """The comparisons, the pooled one last where there are several; and what makes them less than fair."""

    first: str
    second: str
    comparisons: list[Comparison]
    notes: list[str]


def compare(first: Path, second: Path, seed: int = 0) -> Report:
    """Compare two models' folders (OUT/<label>) on the benchmarks that both have.

    Raises:
        ValueError: a folder is not one of an evaluated model, they share no benchmark or no problem of one,
            or an evaluation is not finished.
    """
    names = {folder: _benchmarks(folder) for folder in (first, second)}
    shared = [name for name in names[first] if name in names[second]]
    if not shared:
        raise ValueError(
            f"{first} ({', '.join(names[first])}) and {second} ({', '.join(names[second])}) "
            "share no benchmark"
        )
    notes = [
        f"{name}: only in {folder}, left out"
        for folder in (first, second)
        for name in names[folder]
        if name not in shared
    ]
    pairs: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for name in shared:
        notes += differing_settings(first / name, second / name)
        pairs[name] = _pairs(first / name, second / name, notes)
    comparisons = [_compare(name, pairs[name], seed) for name in shared]
    if (
        len(shared) > 1
        and len({(a.num_samples, b.num_samples) for all in pairs.values() for a, b in all}) == 1
    ):
        comparisons.append(_compare(POOLED, [pair for all in pairs.values() for pair in all], seed))
    return Report(str(first), str(second), comparisons, notes)


def to_json(report: Report) -> dict[str, Any]:
    record = asdict(report)
    for entry, comparison in zip(record["comparisons"], report.comparisons, strict=True):
        entry["accuracy_difference"]["verdict"] = comparison.accuracy_difference.verdict
        entry["tokens_difference"]["verdict"] = comparison.tokens_difference.verdict
    return record


def _benchmarks(folder: Path) -> list[str]:
    names = sorted(path.parent.name for path in folder.glob("*/manifest.json"))
    if not names:
        inside = sorted({path.parent.parent.name for path in folder.glob("*/*/manifest.json")})
        remedy = (
            f"name one of the models in it: {', '.join(str(folder / label) for label in inside)}"
            if inside
            else "give OUT/<model> of an `rlkit eval ... --out OUT`"
        )
        raise ValueError(f"{folder} is not the folder of an evaluated model; {remedy}")
    return names


def differing_settings(first: Path, second: Path) -> list[str]:
    """Settings of the two that make the difference one of the asking and not of the models alone."""
    a, b = (json.loads((folder / "manifest.json").read_text()) for folder in (first, second))
    return [
        f"{first.name}: {DIGESTS[name]} differ"
        if name in DIGESTS
        else f"{first.name}: {name} differs ({a[name]!r} and {b.get(name)!r})"
        for name in a
        if name not in OF_THE_MODEL and a[name] != b.get(name)
    ]


def _pairs(first: Path, second: Path, notes: list[str]) -> list[tuple[Outcome, Outcome]]:
    a, b = _outcomes(first), _outcomes(second)
    common = [problem for problem in a if problem in b]
    kept = [(a[problem], b[problem]) for problem in common]
    scored = [(left, right) for left, right in kept if left is not None and right is not None]
    if not scored:
        raise ValueError(f"{first} and {second} share no problem that can be scored")
    if len(common) < max(len(a), len(b)):
        notes.append(
            f"{first.name}: problems only in {first.parent}: {len(a) - len(common)}, only in "
            f"{second.parent}: {len(b) - len(common)}; compared on the {len(common)} that both have"
        )
    if len(scored) < len(kept):
        notes.append(f"{first.name}: problems left out, as they cannot be scored: {len(kept) - len(scored)}")
    return scored


def _outcomes(folder: Path) -> Mapping[str, Outcome | None]:
    """By the problems' ids; None where the problem cannot be scored."""
    if not (folder / "summary.json").exists():
        raise ValueError(f"{folder} is not finished: it has no summary.json; call `rlkit eval` again")
    outcomes: dict[str, Outcome | None] = {}
    for problem, group in groupby(read_rows(folder / "completions.jsonl"), key=lambda row: row.problem):
        rows = list(group)
        outcomes[problem] = (
            Outcome(
                correct=sum(row.correct for row in rows),
                num_samples=len(rows),
                tokens=float(np.mean([row.num_tokens for row in rows])),
                total_tokens=float(np.mean([row.num_tokens + row.num_prompt_tokens for row in rows])),
            )
            if rows[0].scorable
            else None
        )
    return outcomes


def _compare(name: str, pairs: Sequence[tuple[Outcome, Outcome]], seed: int) -> Comparison:
    sides = list(zip(*pairs, strict=True))
    counts = [[outcome.correct for outcome in side] for side in sides]
    tokens = [[outcome.tokens for outcome in side] for side in sides]
    num_samples = [side[0].num_samples for side in sides]
    accuracy = [float(np.mean(count)) / num for count, num in zip(counts, num_samples, strict=True)]
    totals = [float(np.mean([outcome.total_tokens for outcome in side])) for side in sides]
    return Comparison(
        benchmark=name,
        num_problems=len(pairs),
        accuracy=(accuracy[0], accuracy[1]),
        accuracy_difference=accuracy_difference(counts[0], num_samples[0], counts[1], num_samples[1], seed),
        tokens=(float(np.mean(tokens[0])), float(np.mean(tokens[1]))),
        tokens_difference=mean_difference(tokens[0], tokens[1], seed),
        ock_score=(ock_score(accuracy[0], totals[0]), ock_score(accuracy[1], totals[1])),
    )
