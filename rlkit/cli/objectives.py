"""`rlkit objectives`: what the update can learn from beside GRPO's loss."""


def objectives() -> None:
    """List the objectives: name, rule, source."""
    from rich.console import Console
    from rich.table import Table

    from rlkit.objectives import OBJECTIVES

    table = Table("objective", "rule", "source")
    for name, listed in OBJECTIVES.items():
        table.add_row(name, listed.rule, listed.source)
    Console().print(table)
