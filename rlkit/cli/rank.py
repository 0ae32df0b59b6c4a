"""`rlkit rank`: evaluated models in order."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlkit.evaluate.ranking import Ranking

WIDTH = 150
NOTES = (
    "wins: expected over shuffles, rounds in the order of the benchmarks (LLM Swiss Round, arXiv "
    "2512.21010); the interval is of the shuffles, not of the problems. sensitivity: change of the wins "
    "for each further model that is out after a round."
)


def rank(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The --out of rlkit eval.")],
    benchmarks: Annotated[str | None, typer.Option(help="The rounds in order. Default: by name.")] = None,
    shuffles: Annotated[int, typer.Option(help="Tournaments.", min=2)] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the shuffles.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A .json file with the numbers.")] = None,
) -> None:
    """Rank evaluated models by a Swiss tournament over their benchmarks, beside their plain means.

    rlkit rank runs/eval --benchmarks gsm8k,math500,aime24
    """
    from rlkit.evaluate.ranking import rank as run
    from rlkit.evaluate.store import write_whole

    order = None if benchmarks is None else [name.strip() for name in benchmarks.split(",")]
    ranking = run(folders, order, shuffles, seed)
    _print(ranking)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, json.dumps(asdict(ranking), indent=2) + "\n")


def _print(ranking: "Ranking") -> None:
    from rich.console import Console
    from rich.table import Table

    places = sorted((each.mean for each in ranking.models), reverse=True)
    title = f"{len(ranking.benchmarks)} rounds: {', '.join(ranking.benchmarks)}"
    table = Table("", "model", "wins (95%)", "1 out", "2 out", "sensitivity", "mean", "by mean", title=title)
    for place, each in enumerate(ranking.models, start=1):
        table.add_row(
            f"{place}",
            each.model,
            f"{each.wins[0]:.3f} ({each.interval[0]:.3f} to {each.interval[1]:.3f})",
            *(f"{wins:.3f}" for wins in each.wins[1:]),
            f"{each.sensitivity:+.3f}",
            f"{each.mean:.3f}",
            f"{places.index(each.mean) + 1}",
        )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
    for line in (*ranking.disagreements, *ranking.notes, NOTES):
        typer.echo(line)
