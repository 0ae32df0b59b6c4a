"""`rlkit`: the command line. Each command is a few lines around a function of the library."""

import typer

from rlkit.cli.compare import compare
from rlkit.cli.evaluate import evaluate
from rlkit.cli.grade import grade
from rlkit.cli.simulate import presets, simulate

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def _about() -> None:
    """Which prompts are worth rolling out now? Prompt curricula around TRL's GRPOTrainer."""


app.command()(presets)
app.command()(simulate)
app.command()(compare)
app.command("eval")(evaluate)
app.command()(grade)


def main() -> None:
    """Entry point: a user's mistake is one line on standard error and exit code 2, not a traceback."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"rlkit: {error}", err=True)
        raise SystemExit(2) from error
