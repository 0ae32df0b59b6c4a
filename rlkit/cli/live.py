"""`rlkit live`: the page of a run while it goes on, and commands to it."""

from pathlib import Path
from typing import Annotated

import typer


def live(
    run: Annotated[Path, typer.Argument(help="The run's output_dir.", show_default=False)],
    port: Annotated[int, typer.Option(help="Of the page, on this machine only; 0 takes a free one.")] = 0,
    send: Annotated[
        str | None,
        typer.Option(help="No page: ask the run for this and wait for its answer: 'set learning_rate 5e-7'."),
    ] = None,
    who: Annotated[str | None, typer.Option(help="Kept with --send. Default: the user's name.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds that --send waits.")] = 600.0,
    parent: Annotated[int | None, typer.Option(help="Ends with this process.", hidden=True)] = None,
) -> None:
    """Show a run's page while it goes on, and steer it; docs/live.md has the commands.

    rlkit live runs/demo/start-0/seed-0/pcl
    rlkit live runs/demo/start-0/seed-0/pcl --send 'set learning_rate 5e-7'
    """
    if send is None:
        from rlkit.live import check_installed

        check_installed()
        from rlkit.live.server import serve
        from rlkit.report.run_files import check_run

        if parent is None:
            check_run(run)
        serve(run, port, parent)
        return
    from rlkit.live.send import send_words

    state = send_words(run, send, who, wait)
    old = f" (it was {state['old']})" if state.get("old") else ""
    typer.echo(f"{state['name']}: {state['state']}, from step {state['step']} on{old}")
