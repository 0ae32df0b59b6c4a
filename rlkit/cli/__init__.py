"""`rlkit`: the command line. Each command is a few lines around a function of the library."""

import typer

from rlkit.cli.compare import compare
from rlkit.cli.diagnose import diagnose
from rlkit.cli.evaluate import evaluate
from rlkit.cli.grade import grade
from rlkit.cli.harvest import harvest
from rlkit.cli.launch import launch
from rlkit.cli.live import live
from rlkit.cli.merge import merge
from rlkit.cli.objectives import objectives
from rlkit.cli.pipeline import pipeline
from rlkit.cli.rank import rank
from rlkit.cli.report import report
from rlkit.cli.score import score
from rlkit.cli.select import select
from rlkit.cli.simulate import presets, simulate
from rlkit.cli.synthesize import synthesize
from rlkit.cli.tasks import tasks
from rlkit.settings import program

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def _about() -> None:
    """Which prompts are worth rolling out now? Prompt curricula around TRL's GRPOTrainer."""


app.command()(presets)
app.command()(objectives)
app.command()(simulate)
app.command()(compare)
app.command("eval")(evaluate)
app.command()(report)
app.command()(tasks)
app.command()(grade)
app.command()(score)
app.command()(rank)
app.command()(harvest)
app.command()(synthesize)
app.command()(merge)
app.command()(live)
app.command()(diagnose)
app.command()(select)
app.command()(pipeline)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(launch)


def main() -> None:
    """Entry point: a user's mistake is one line on standard error and exit code 2, not a traceback."""
    program.begin()
    try:
        app()
    except (ValueError, ImportError) as error:
        if not program.is_mistake(error, error.__traceback__):
            raise
        typer.echo(f"rlkit: {error}", err=True)
        raise SystemExit(2) from error
