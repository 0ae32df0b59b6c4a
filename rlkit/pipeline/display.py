"""The stages of a plan as a table: what would run and why, and how far it is."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rlkit.pipeline.pipeline import Look

STYLES = {"done": "green", "due": "yellow", "waits": "cyan", "left out": "dim", "runs": "bold yellow"}


def show(looks: Sequence[Look], console: Console) -> None:
    """The plan as it stands."""
    table = Table("stage", "kind", "state", "why, or its numbers", box=None)
    for look in looks:
        numbers = "" if look.record is None else number_text(look.record.numbers)
        table.add_row(look.stage.name, look.stage.kind.name, styled(look.state), look.why or numbers)
    console.print(table)


def styled(state: str) -> str:
    return f"[{STYLES[state]}]{state}[/]"


def number_text(numbers: Mapping[str, float]) -> str:
    """accuracy 0.412, steps 100"""
    return ", ".join(
        f"{name} {value:g}" if float(value).is_integer() else f"{name} {value:.3f}"
        for name, value in numbers.items()
    )


class Progress:
    """A table that moves on a terminal, and elsewhere a line for each stage that begins or ends."""

    def __init__(self, looks: Sequence[Look], console: Console):
        self.console = console
        self._rows = {look.stage.name: (look, 0.0) for look in looks}
        self._begun: set[str] = set()
        self._live = Live(console=console, refresh_per_second=2) if console.is_terminal else None

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def told(self, look: Look, seconds: float) -> None:
        """As `Pipeline.run` tells it."""
        name = look.stage.name
        self._rows[name] = (look, seconds)
        if look.state == "due":
            if name not in self._begun and self._live is None:
                self.console.print(f"{name}: {look.why}", highlight=False, soft_wrap=True)
            self._begun.add(name)
        elif look.state == "done" and name in self._begun and self._live is None and look.record:
            numbers = number_text(look.record.numbers)
            self.console.print(f"{name}: done in {seconds:.0f} s  {numbers}", highlight=False, soft_wrap=True)
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table("stage", "kind", "state", "seconds", "numbers", box=None)
        for name, (look, seconds) in self._rows.items():
            record = look.record
            seconds = record.seconds if record else seconds
            table.add_row(
                name,
                look.stage.kind.name,
                styled("runs" if look.state == "due" and name in self._begun else look.state),
                f"{seconds:.0f}" if seconds else "",
                number_text(record.numbers) if record else "",
            )
        return table
