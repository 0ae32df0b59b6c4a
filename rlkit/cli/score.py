"""`rlkit score`: offline success rates for the static curricula."""

from pathlib import Path
from typing import Annotated

import typer


def score(
    model: Annotated[str, typer.Argument(help="A checkpoint, a PEFT adapter's folder, or a Hub id.")],
    data: Annotated[Path, typer.Argument(help="A .jsonl, .json or .parquet file.")],
    output: Annotated[Path, typer.Option(help="A .parquet file that does not exist yet.")],
    samples: Annotated[int, typer.Option(help="Completions a row.")] = 8,
    reward: Annotated[
        str, typer.Option(help="path/to/file.py:function or package.module:function.")
    ] = "rewards.math_answer:accuracy",
    prompt_column: Annotated[str, typer.Option(help="Text to ask where rows have no `prompt`.")] = "question",
    system_prompt: Annotated[str | None, typer.Option(help="System message put before the text.")] = None,
    instruction: Annotated[str | None, typer.Option(help="Put below the text in the user's message.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="A longer completion is cut.")] = 512,
    temperature: Annotated[float, typer.Option(help="Of the sampling; train with the same.")] = 1.0,
    engine: Annotated[str, typer.Option(help="transformers or vllm.")] = "transformers",
    batch_size: Annotated[int | None, typer.Option(help="Completions at once.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first rows.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    right: Annotated[
        Path | None, typer.Option(help="Also write the right completions there, a .jsonl file for SFT.")
    ] = None,
) -> None:
    """Measure each row's pass rate with a model, and write the rows with it to a Parquet file.

    Adds pass_rate (mean reward, 0 to 1), reward_std, num_samples and mean_tokens; a column of that name is
    replaced. Called again after a kill, it goes on. Ask as you will train: the same instruction and length.

    rlkit score Qwen/Qwen2.5-0.5B-Instruct train.jsonl --samples 8 --output scored.parquet
    """
    from rlkit.evaluate.plan import Settings
    from rlkit.evaluate.score import score as run

    settings = Settings(
        num_samples=samples,
        temperature=temperature,
        engine=engine,  # type: ignore[arg-type]
        batch_size=batch_size,
        seed=seed,
    )
    table = run(
        model,
        data,
        output,
        settings,
        reward,
        max_new_tokens,
        prompt_column,
        system_prompt,
        instruction,
        limit,
        right,
    )
    rates = [rate for rate in table["pass_rate"].to_pylist() if rate is not None]
    typer.echo(
        f"{len(table)} rows, mean pass rate {sum(rates) / len(rates):.3f}; "
        f"never solved {sum(rate == 0 for rate in rates)}, always {sum(rate == 1 for rate in rates)}, "
        f"unscorable {len(table) - len(rates)}"
    )
    typer.echo(f"written to {output}; train on it with --dataset_path {output} --curriculum hard_examples")
