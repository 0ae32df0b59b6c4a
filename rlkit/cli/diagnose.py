"""`rlkit diagnose`: which categories of a data set fail."""

from pathlib import Path
from typing import Annotated

import typer


def diagnose(
    rows: Annotated[
        Path, typer.Argument(help="What `rlkit score` wrote, with pass_rate.", show_default=False)
    ],
    by: Annotated[str, typer.Option(help="The column with a row's category; a.b is key b of column a.")],
    out: Annotated[Path, typer.Option(help="Folder for buckets.json and failed.jsonl.")],
    threshold: Annotated[float, typer.Option(help="A category below this mean pass rate has failed.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the intervals' bootstrap.")] = 0,
) -> None:
    """Show the mean pass rate of each category, and write the rows of those that failed.

    rlkit diagnose scored.parquet --by subject --threshold 0.5 --out diagnosis
    """
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from rlkit.evaluate.diagnose import diagnose as run
    from rlkit.evaluate.store import to_lines, write_whole
    from rlkit.prompts.files import read_rows
    from rlkit.settings.columns import value_of

    data = read_rows(rows)
    buckets = run(data, by, threshold, seed)
    table = Table(by, "rows", "pass rate (95%)", "")
    for bucket in buckets:
        low, high = bucket.interval
        share = f"{bucket.accuracy:.3f} ({low:.3f} to {high:.3f})"
        table.add_row(bucket.name, f"{bucket.rows}", share, "failed" if bucket.failed else "")
    Console().print(table)
    failed = {bucket.name for bucket in buckets if bucket.failed}
    if not failed:
        raise ValueError(
            f"threshold ({threshold}): no category of {by!r} is below it, the worst is {buckets[0].name} at "
            f"{buckets[0].accuracy:.3f}; nothing is left to train on: raise it"
        )
    out.mkdir(parents=True, exist_ok=True)
    chosen = [row for row in data if row["pass_rate"] is not None and str(value_of(row, by)) in failed]
    write_whole(out / "failed.jsonl", to_lines(chosen))
    summary = {"by": by, "threshold": threshold, "buckets": [asdict(bucket) for bucket in buckets]}
    write_whole(out / "buckets.json", json.dumps(summary, indent=1) + "\n")
    typer.echo(
        f"{len(failed)} of {len(buckets)} failed; their {len(chosen)} rows are in {out / 'failed.jsonl'}"
    )
