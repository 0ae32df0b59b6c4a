"""`rlkit merge`: checkpoints made into one."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    models: Annotated[
        list[str],
        typer.Argument(help="INSTRUCT DISTILLED BASE, or A B, or ADAPTER [BASE]: folders or Hub ids."),
    ],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
    a: Annotated[float, typer.Option(help="Share of the first beside the second.")] = 0.5,
    b: Annotated[float, typer.Option(help="Share of the first two beside the third.")] = 0.5,
    check: Annotated[bool, typer.Option(help="Load the result; takes a model's memory.")] = True,
) -> None:
    """Average checkpoints of one architecture, or put an adapter into its base.

    Three are averaged as b (a INSTRUCT + (1-a) DISTILLED) + (1-b) BASE (Balanced Actor Initialization), two
    as a A + (1-a) B, one tensor in memory at a time. Configuration, types and tokenizer are the first's.

    rlkit merge Qwen/Qwen2.5-7B-Instruct deepseek-ai/DeepSeek-R1-Distill-Qwen-7B Qwen/Qwen2.5-7B --out bai
    """
    from rlkit.merge.merge import merge as run
    from rlkit.settings import program

    program.quiet_libraries()
    merged = run(models, out, a, b, loads=check)
    for note in merged.notes:
        typer.echo(f"note: {note}", err=True)
    parts = " + ".join(f"{share:.4g} {model}" for model, share in merged.models.items())
    typer.echo(f"{out} = {parts}{'; it loads' if check else ''}")
