"""`rlkit harvest`: a run's completions as training data of other stages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlkit.harvest.groups import Harvest

KINDS, CHOICES = ("sft", "preference"), ("shortest", "likeliest")


def harvest(
    run: Annotated[Path, typer.Argument(help="A run's output_dir, finished or not.")],
    kind: Annotated[str, typer.Option(help="sft or preference.")],
    out: Annotated[Path, typer.Option(help="A .jsonl or .parquet file.")],
    per_prompt: Annotated[int, typer.Option(help="Rows of one prompt, at most.", min=1)] = 1,
    right: Annotated[float, typer.Option(help="sft: the least signal of a right completion.")] = 1.0,
    choose: Annotated[str, typer.Option(help="sft: the shortest or the likeliest of a group.")] = "shortest",
    model: Annotated[str | None, typer.Option(help="sft: whom `likeliest` is asked of.")] = None,
    margin: Annotated[float, typer.Option(help="preference: least difference of the signals.")] = 0.0,
) -> None:
    """Write the completions that a run kept as rows for TRL's SFTTrainer or DPOTrainer.

    sft: a right completion of each group; preference: the best of each group against its worst. Train with
    keep_completions: all, else there are the extremes of at most four groups a step.

    rlkit harvest runs/gsm8k --kind preference --out pairs.jsonl
    """
    from rlkit.harvest.write import check_left, check_out, write_rows

    check_out(out)
    found = _find(run, kind, per_prompt, right, choose, model, margin)
    check_left(found, run)
    write_rows(found.rows, out)
    for rule, num in found.left.items():
        typer.echo(f"{num:>9,} {rule}")
    typer.echo(f"{len(found.rows)} rows in {out}")


def _find(
    run: Path, kind: str, per_prompt: int, right: float, choose: str, model: str | None, margin: float
) -> "Harvest":
    if kind not in KINDS:
        raise ValueError(f"kind ({kind}) must be one of {', '.join(KINDS)}")
    if choose not in CHOICES:
        raise ValueError(f"choose ({choose}) must be one of {', '.join(CHOICES)}")
    if (choose == "likeliest") != (model is not None):
        raise ValueError(f"choose ({choose}) and model ({model}): likeliest needs --model, shortest none")
    if kind == "preference":
        from rlkit.harvest.preference import pairs

        return pairs(run, margin, per_prompt)
    from rlkit.harvest.sft import demonstrations, tokens

    if model is None:
        return demonstrations(run, right, per_prompt, tokens)
    from rlkit.harvest.likelihood import unlikelihood
    from rlkit.settings import program

    program.quiet_libraries()
    return demonstrations(run, right, per_prompt, unlikelihood(model))
