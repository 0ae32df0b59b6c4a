"""What `rlkit eval` does without a model: evaluated ones compared, benchmarks held against training data."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rlkit.evaluate.benchmark import Benchmark
    from rlkit.evaluate.compare import Comparison
    from rlkit.evaluate.paired import Difference

WIDTH = 160  # of a table where the terminal is narrower, or there is none
EXCERPT = 44  # characters of a text
COMPARED = (
    "benchmark",
    "problems",
    "accuracy A, B",
    "B - A [95%]",
    "p",
    "accuracy of B",
    "tokens A, B",
    "B - A [95%]",
    "OckScore A, B",
)
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
    table = Table(title=f"A: {first}\nB: {second}")
    for name in COMPARED:
        table.add_column(name, no_wrap=True)
    for comparison in report.comparisons:
        table.add_row(*_compared(comparison))
    _print(table)
    for note in report.notes:
        typer.echo(note)
    typer.echo(COMPARISON_NOTES)
    if out is not None:
        _write(out / "comparison.json", to_json(report))


def check_overlap(
    benchmarks: "Sequence[Benchmark]", data: Sequence[str], train: Path, column: str, out: Path | None
) -> None:
    """Print which problems of benchmarks occur in a training file, and write OUT/overlap.json."""
    from rlkit.evaluate.benchmarks import data_files
    from rlkit.evaluate.overlap import find_overlaps, prompt_texts
    from rlkit.evaluate.problems import load_problems
    from rlkit.prompts.files import read_rows

    files = data_files(data, [benchmark.name for benchmark in benchmarks])
    rows = read_rows(train)
    texts = prompt_texts(rows, "prompt" if column not in rows[0] and "prompt" in rows[0] else column)
    asked = [
        (benchmark.name, problem.id, problem.question or prompt_texts([{"": problem.given}], "")[0])
        for benchmark in benchmarks
        for problem in load_problems(benchmark, files.get(benchmark.name))
    ]
    records = []
    for overlap in find_overlaps([text for _, _, text in asked], texts):
        name, problem, text = asked[overlap.problem]
        record = {**asdict(overlap), "benchmark": name, "problem": problem}
        records.append({**record, "text": text, "training_text": texts[overlap.row]})
    _print_overlaps(records, Counter(name for name, _, _ in asked), f"in {train} ({len(texts)} rows)")
    if out is not None:
        _write(out / "overlap.json", {"training_file": str(train), "overlaps": records})


def draw_checkpoints(out: Path) -> None:
    """OUT/checkpoints.png, where several checkpoints of one run were evaluated."""
    from rlkit.evaluate.models import step_of
    from rlkit.evaluate.report import read_records
    from rlkit.report.checkpoints import checkpoint_lines, plot_checkpoints

    records = read_records(out)
    steps = {record["model"]: step_of(record["model"]) for record in records}
    lines = checkpoint_lines(records, {model: step for model, step in steps.items() if step is not None})
    if lines:
        plot_checkpoints(
            lines, out / "checkpoints.png", "95% intervals over problems; tokens: mean generated"
        )
        typer.echo(f"accuracy and tokens over the checkpoints in {out / 'checkpoints.png'}")


def _print_overlaps(records: list[dict], sizes: Counter[str], title: str) -> None:
    from rich.table import Table

    listed = Table("benchmark", "problem", "kind", "8-grams", "row", "training text", title=title)
    for record in records:
        excerpt = " ".join(record["training_text"].split())[:EXCERPT]
        share, row = f"{record['share']:.0%}", f"{record['row']}"
        listed.add_row(record["benchmark"], record["problem"], record["kind"], share, row, excerpt)
    kinds = ("equal", "contained", "near")
    counts = Table("benchmark", "problems", *kinds)
    found = Counter((record["benchmark"], record["kind"]) for record in records)
    for name, size in sizes.items():
        counts.add_row(name, f"{size}", *(f"{found[name, kind]}" for kind in kinds))
    if records:
        _print(listed)
    _print(counts)
    typer.echo(OVERLAP_NOTES)


def _compared(comparison: "Comparison") -> list[str]:
    difference = comparison.accuracy_difference
    return [
        comparison.benchmark,
        f"{comparison.num_problems}",
        _both(comparison.accuracy, ".3f"),
        _difference(difference, ".3f"),
        f"{difference.p_value:.2g}",
        difference.verdict,
        _both(comparison.tokens, ".1f"),
        _difference(comparison.tokens_difference, ".1f"),
        _both(comparison.ock_score, ".1f"),
    ]


def _both(values: tuple[float, float], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


def _difference(difference: "Difference", form: str) -> str:
    low, high = difference.interval
    return f"{difference.mean:+{form}} [{low:+{form}} to {high:+{form}}]"


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
