"""`rlkit report`: one page that explains a run."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Runs' output_dirs; several are shown side by side.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page. Default: report/index.html in the run, or in what holds all the runs."),
    ] = None,
) -> None:
    """Write a page that shows what a run, finished or still running, did with its prompts.

    One HTML file without a server: it opens from a disk or a mail attachment. docs/report.md says what each
    part shows.

    rlkit report runs/demo/start-0/seed-0/pcl runs/demo/start-0/seed-0/uniform
    """
    from rlkit.report.page import write_page
    from rlkit.report.run_data import read_runs

    path = out or _place(runs) / "report" / "index.html"
    found = read_runs(runs)
    try:
        write_page(found, path)
    except OSError as error:
        raise ValueError(f"out ({path}) cannot be written ({error.strerror}); give another file") from error
    typer.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _place(runs: list[Path]) -> Path:
    """The run, or the nearest folder that holds all of them."""
    from os.path import commonpath

    return Path(commonpath(runs)) if len({run.resolve() for run in runs}) > 1 else runs[0]
