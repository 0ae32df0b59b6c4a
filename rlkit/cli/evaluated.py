"""What `rlkit eval` does without a model: evaluated ones compared, benchmarks held against training data."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rlkit.evaluate.benchmark import Benchmark
    from rlkit.evaluate.compare import Comparison
    from rlkit.evaluate.paired import Difference

WIDTH = 130  # of a table where the terminal is narrower, or there is none
EXCERPT = 90  # characters of a text
COMPARISON_NOTES = (
    "B minus A over the same problems; 95% intervals: paired bootstrap over problems; p: exact sign-flip "
    "test (McNemar's for one sample a problem). A difference is named where its interval leaves out 0 and "
    "p < 0.05."
)
OVERLAP_NOTES = (
    "equal: the same words; contained: whole in a longer text; near: at least 70% of its 8-word sequences "
    "in one text, which may be a sibling with other numbers."
)


def compare_models(first: Path, second: Path, out: Path | None, seed: int) -> None:
    """Print the paired comparison of two models' folders, and write OUT/comparison.json."""
    from rich.table import Table

    from rlkit.evaluate.compare import compare, to_json

    report = compare(first, second, seed)
    names = (
        "benchmark",
        "problems",
        "A",
        "B",
        "B - A (95%)",
        "p",
        "accuracy",
        "tokens A",
        "tokens B",
        "B - A (95%)",
    )
    table = Table(*names, "OckScore A", "B", title=f"A: {first}\nB: {second}")
    for comparison in report.comparisons:
        table.add_row(*_compared(comparison))
    _print(table)
    for note in report.notes:
        typer.echo(note)
    typer.echo(COMPARISON_NOTES)
    if out is not None:
        _write(out / "comparison.json", to_json(report))


def check_overlap(
    benchmarks: "Sequence[Benchmark]", files: dict[str, Path], train: Path, column: str, out: Path | None
) -> None:
    """Print which problems of benchmarks occur in a training file, and write OUT/overlap.json."""
    from rich.table import Table

    from rlkit.data import read_rows
    from rlkit.evaluate.overlap import find_overlaps, prompt_texts
    from rlkit.evaluate.problems import load_problems, make_prompt

    rows = read_rows(train)
    texts = prompt_texts(rows, "prompt" if column not in rows[0] and "prompt" in rows[0] else column)
    counts = Table(
        "benchmark", "problems", "equal", "contained", "near", title=f"in {train} ({len(texts)} rows)"
    )
    listed = Table("benchmark", "problem", "kind", "8-grams", "row", "training text")
    records = []
    for benchmark in benchmarks:
        problems = load_problems(benchmark, files.get(benchmark.name))
        asked = prompt_texts(
            [{"prompt": make_prompt(benchmark, problem, chat=True)} for problem in problems], "prompt"
        )
        questions = [
            text.removesuffix(benchmark.instruction) if benchmark.instruction else text for text in asked
        ]
        overlaps = find_overlaps(questions, texts)
        kinds = Counter(overlap.kind for overlap in overlaps)
        counts.add_row(
            benchmark.name, f"{len(problems)}", *(f"{kinds[kind]}" for kind in ("equal", "contained", "near"))
        )
        for overlap in overlaps:
            id, text = problems[overlap.problem].id, " ".join(texts[overlap.row].split())
            listed.add_row(
                benchmark.name, id, overlap.kind, f"{overlap.share:.0%}", f"{overlap.row}", text[:EXCERPT]
            )
            records.append(
                {
                    "benchmark": benchmark.name,
                    "problem": id,
                    "kind": overlap.kind,
                    "share": overlap.share,
                    "row": overlap.row,
                    "problem_text": questions[overlap.problem],
                    "training_text": texts[overlap.row],
                }
            )
    if records:
        _print(listed)
    _print(counts)
    typer.echo(OVERLAP_NOTES)
    if out is not None:
        _write(out / "overlap.json", {"training_file": str(train), "overlaps": records})


def _compared(comparison: "Comparison") -> list[str]:
    difference, tokens = comparison.accuracy_difference, comparison.tokens_difference
    return [
        comparison.benchmark,
        f"{comparison.num_problems}",
        *(f"{value:.3f}" for value in comparison.accuracy),
        _difference(difference, ".3f"),
        f"{difference.p_value:.2g}",
        difference.verdict,
        *(f"{value:.1f}" for value in comparison.tokens),
        _difference(tokens, ".1f"),
        *(f"{value:.1f}" for value in comparison.ock_score),
    ]


def _difference(difference: "Difference", form: str) -> str:
    low, high = difference.interval
    return f"{difference.mean:+{form}} ({low:+{form}} to {high:+{form}})"


def _print(table) -> None:
    from rich.console import Console

    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def _write(path: Path, record: dict) -> None:
    from rlkit.evaluate.store import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record, indent=2) + "\n")
    typer.echo(f"written to {path}")
