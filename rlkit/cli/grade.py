"""`rlkit grade`: a reward on a file of completions, without a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlkit.verify.grading import Grade, GradeWriter

SHOWN_ROWS = 5


def grade(
    reward: Annotated[str, typer.Option(help="path/to/file.py:function or package.module:function.")],
    input: Annotated[Path, typer.Option(help="A .jsonl, .jsonl.gz, .json or .parquet file.")],
    output: Annotated[
        Path | None, typer.Option(help="A .jsonl, .json or .parquet file for the graded rows.")
    ] = None,
    completion_column: Annotated[
        str, typer.Option(help="Text or messages, one completion a row.")
    ] = "completion",
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="ARGUMENT=COLUMN: where the reward's argument is. May be repeated; a.b goes deeper."
        ),
    ] = None,
    golds: Annotated[
        bool, typer.Option(help="Grade each row's own gold answer in place of completions.")
    ] = False,
    gold_column: Annotated[str, typer.Option(help="The gold answer's column, for --golds.")] = "answer",
) -> None:
    """Grade a file with a reward: its rows with `reward` and `reward_error`, and a summary.

    The reward's arguments are the file's columns. `reward` is empty where the reward could not score a row,
    and `reward_error` says why if it failed, or what the reward says of it. With --golds: what share of the
    gold answers earn 1, bare or boxed, and why do the others not?
    While it runs, the rows graded so far are in OUTPUT.partial.jsonl.

    rlkit grade --reward rewards/math_answer.py:accuracy --input out.jsonl --output graded.jsonl
    """
    import time

    from rlkit.prompts.files import read_rows
    from rlkit.settings.columns import parse_columns
    from rlkit.verify.grading import GradeWriter, completions_of, grade_golds, grade_rows, prepare_rows
    from rlkit.verify.load import load_reward

    grader = load_reward(reward)
    rows = read_rows(input)
    prepared = prepare_rows(rows, parse_columns(column or [], "--column"), grader)
    if golds:
        batches = grade_golds(grader, prepared, gold_column)
    else:
        batches = grade_rows(grader, prepared, completions_of(prepared, completion_column))
    if output is not None and output.exists() and output.samefile(input):
        raise ValueError(f"--output {output} is the input itself; give another file")

    writer = None if output is None else GradeWriter(output)
    start = time.perf_counter()
    grades = _grade_all(rows, batches, writer)
    _print_summary(grades, time.perf_counter() - start, golds)


def _grade_all(
    rows: list[dict[str, Any]], batches: "Iterator[list[Grade]]", writer: "GradeWriter | None"
) -> "list[Grade]":
    """All grades, written as they come; an interrupt says what there is of them and ends the command."""
    from rich.console import Console
    from rich.progress import Progress

    grades: list[Grade] = []
    try:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("grading", total=len(rows))
            for batch in batches:
                if writer is not None:
                    writer.write(rows[len(grades) : len(grades) + len(batch)], batch)
                grades += batch
                progress.advance(task, len(batch))
    except KeyboardInterrupt:
        kept = (
            "nothing is kept, as there is no --output" if writer is None else f"they are in {writer.partial}"
        )
        typer.echo(f"rlkit: interrupted; {len(grades)} of {len(rows)} rows are graded; {kept}", err=True)
        raise typer.Exit(130) from None
    if writer is not None:
        writer.finish(rows, grades)
    return grades


def _print_summary(grades: "list[Grade]", seconds: float, golds: bool) -> None:
    scores = [grade.reward for grade in grades if grade.reward is not None]
    failed = [(number, grade.error) for number, grade in enumerate(grades, start=1) if grade.error]
    mean = f"mean reward {sum(scores) / len(scores):.4f}" if scores else "no row could be scored"
    ones, zeros = scores.count(1.0), scores.count(0.0)
    unscorable = len(grades) - len(scores) - len(failed)
    typer.echo(
        f"{len(grades)} rows, {mean}: {ones} with 1, {zeros} with 0, "
        f"{len(scores) - ones - zeros} with another reward, {unscorable} unscorable, {len(failed)} failed; "
        f"{seconds:.1f} s, {len(grades) / max(seconds, 1e-9):.0f} rows/s"
    )
    for number, error in failed[:SHOWN_ROWS]:
        typer.echo(f"  row {number} failed: {error:.200}")
    if golds:
        _print_golds(grades)


def _print_golds(grades: "list[Grade]") -> None:
    from rlkit.verify.golds import grouped

    bad = [
        (number, grade)
        for number, grade in enumerate(grades, start=1)
        if grade.reward is None or grade.reward < 1
    ]
    listed = ", ".join(str(number) for number, _ in bad[:100]) + (", ..." if len(bad) > 100 else "")
    typer.echo(f"{len(bad)} golds do not earn 1" + (f": rows {listed}" if bad else ""))
    earning = len(grades) - len(bad)
    typer.echo(f"{earning} of {len(grades)} golds earn 1 ({100 * earning / max(len(grades), 1):.1f}%)")
    reasons = [(number, grade.error or grade.why or "the reward does not say why") for number, grade in bad]
    for count, reason, rows in grouped(reasons):
        typer.echo(
            f"  {count}: {reason:.200} (rows {', '.join(map(str, rows))}{', ...' * (count > len(rows))})"
        )
