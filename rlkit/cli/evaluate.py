"""`rlkit eval`: what a saved model can do."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="A checkpoint, a PEFT adapter's folder, or a Hub id.")],
    dataset: Annotated[Path, typer.Option(help="A .jsonl, .json or .parquet file.")],
    reward: Annotated[str, typer.Option(help="path/to/file.py:function or package.module:function.")],
    prompt_column: Annotated[str, typer.Option(help="Text to ask where rows have no `prompt`.")] = "question",
    instruction: Annotated[str | None, typer.Option(help="Put below the text in the user's message.")] = None,
    num_samples: Annotated[int, typer.Option(help="Completions a problem; pass@k up to this k.")] = 1,
    max_new_tokens: Annotated[
        int, typer.Option(help="A longer completion is cut and counts as truncated.")
    ] = 512,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 1.0,
    batch_size: Annotated[int, typer.Option(help="Completions generated at once, without vLLM.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Only the first rows.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling and of the intervals.")] = 0,
    vllm: Annotated[bool, typer.Option(help="Generate with vLLM in this process.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for summary.json and completions.jsonl.")] = None,
) -> None:
    """Sample a saved model on a data file, grade it, and say how sure the numbers are."""
    from rlkit.data import read_rows, to_prompt_rows
    from rlkit.verify.load import load_reward

    rows = read_rows(dataset)[:limit]
    if "prompt" not in rows[0]:
        rows = to_prompt_rows(rows, prompt_column, instruction=instruction)
    grader = load_reward(reward)

    from rlkit.evaluate.checkpoint import evaluate_checkpoint

    result = evaluate_checkpoint(
        model,
        rows,
        grader,
        num_samples=num_samples,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        batch_size=batch_size,
        seed=seed,
        use_vllm=vllm,
        out=out,
    )
    low, high = result.accuracy_interval
    typer.echo(
        f"accuracy {result.accuracy:.3f} (95% interval {low:.3f} to {high:.3f}), "
        f"{result.num_problems} problems"
    )
    for k, value in result.pass_at_k.items():
        low, high = result.pass_at_k_interval[k]
        typer.echo(f"pass@{k} {value:.3f} ({low:.3f} to {high:.3f})")
    typer.echo(
        f"{result.mean_tokens:.1f} tokens a completion, {result.truncated_share:.1%} truncated, "
        f"{result.num_unscorable} unscorable, {result.seconds:.1f} s"
    )
