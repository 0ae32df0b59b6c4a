"""`rlkit synthesize`: new questions on skills that failed answers lacked."""

import os
from pathlib import Path
from typing import Annotated

import typer

KEY = "RLKIT_TEACHER_KEY"


def synthesize(
    failed: Annotated[
        Path, typer.Argument(help="Failed questions, with missing_skills, skills or category.")
    ],
    examples: Annotated[Path, typer.Option(help="Questions to learn from, with skills or category.")],
    url: Annotated[str, typer.Option(help="OpenAI-compatible, such as http://localhost:8000/v1.")],
    model: Annotated[str, typer.Option(help="The teacher's name there.")],
    out: Annotated[Path, typer.Option(help="A .jsonl or .parquet file.")],
    max_requests: Annotated[int | None, typer.Option(help="Budget of requests, calls before too.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Budget of tokens, calls before too.")] = None,
    reply_tokens: Annotated[int, typer.Option(help="Tokens of a reply at the most.", min=1)] = 2048,
    prompt_column: Annotated[str, typer.Option(help="The questions' column.")] = "question",
    concurrent: Annotated[int, typer.Option(help="Requests at a time.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Of the choice of examples.")] = 0,
    replies: Annotated[
        Path | None, typer.Option(help="Where replies are kept. Default: OUT.replies.sqlite3.")
    ] = None,
) -> None:
    """Have a teacher write questions on missing skills; keep those whose solutions agree (STAT-Syn).

    A key goes into RLKIT_TEACHER_KEY. Called again after a kill it goes on; no request is paid for twice.

    rlkit synthesize failed.jsonl --examples train.jsonl --url http://host:8000/v1 --model M --out new.jsonl
    """
    from rlkit.prompts.files import read_rows
    from rlkit.synthesize.synthesize import Address
    from rlkit.synthesize.synthesize import synthesize as run
    from rlkit.synthesize.teacher import Limits

    found = run(
        read_rows(failed),
        read_rows(examples),
        out,
        Address(url, model, os.environ.get(KEY) or "none"),
        Limits(max_requests, max_tokens, concurrent),
        prompt_column,
        reply_tokens,
        seed,
        replies,
    )
    for name, num in found.counts.items():
        typer.echo(f"{num:>9,} {name}")
    if found.lacking:
        typer.echo(f"no example trains: {', '.join(found.lacking)}", err=True)
    if found.is_spent:
        typer.echo("the budget is spent: with a larger one, the same command goes on", err=True)
    typer.echo(f"{len(found.rows)} questions in {out}")
