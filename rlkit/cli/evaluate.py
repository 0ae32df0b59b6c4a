"""`rlkit eval`: what saved models can do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlkit.evaluate.benchmark import Benchmark
    from rlkit.evaluate.plan import Settings, Task

WIDTH = 150  # of the table where the terminal is narrower, or there is none
NO_OUT = "out is missing: completions are kept there, and a killed evaluation goes on from it; give --out DIR"


def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Checkpoints, PEFT adapters' folders, RUN/checkpoint-*, or Hub ids."),
    ] = None,
    benchmarks: Annotated[
        str | None, typer.Option(help="Names and .yaml files, with commas between; or give --dataset.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: a local copy of a benchmark's rows; repeatable.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Your own rows: a .jsonl, .json or .parquet file; with --reward.")
    ] = None,
    reward: Annotated[
        str | None, typer.Option(help="path/to/file.py:function or package.module:function; with --dataset.")
    ] = None,
    prompt_column: Annotated[
        str, typer.Option(help="With --dataset: text to ask where rows have no `prompt`.")
    ] = "question",
    instruction: Annotated[
        str, typer.Option(help="With --dataset: put below the text in the user's message.")
    ] = "",
    samples: Annotated[int, typer.Option(help="Completions a problem; pass@k up to this k.")] = 1,
    engine: Annotated[str, typer.Option(help="transformers or vllm, in this process.")] = "transformers",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for completions and reports; what it holds is not sampled again."),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="A longer completion is cut and counts as truncated. Default: the benchmark's, or 512."
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 1.0,
    prompt: Annotated[
        str, typer.Option(help="chat, plain (with worked examples), or auto: chat if there is a template.")
    ] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(help="Completions at once. Default: 32, with vLLM 2048.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first problems.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling and of the intervals.")] = 0,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Instead: is B better than A? Two models' folders, OUT/A and OUT/B."),
    ] = None,
    check_overlap: Annotated[
        Path | None,
        typer.Option(
            help="Instead: a training file; which problems does it hold? Its texts: --prompt-column."
        ),
    ] = None,
) -> None:
    """Sample saved models on benchmarks, or on your own rows, grade them, say how sure the numbers are."""
    from rlkit.cli import evaluated

    if compare is not None:
        return evaluated.compare_models(*compare, out, seed)
    if check_overlap is not None:
        chosen = _choose_benchmarks(benchmarks)
        return evaluated.check_overlap(chosen, data or [], check_overlap, prompt_column, out)
    if not models:
        raise ValueError("models is missing: name a checkpoint, an adapter's folder, or a Hub id")
    from rlkit.evaluate.benchmarks import data_files

    chosen = _choose(benchmarks, dataset, reward, prompt_column, instruction, out)
    files = data_files(data or [], [benchmark.name for benchmark in chosen])
    if limit is not None and limit < 1:
        raise ValueError(f"limit ({limit}) must be at least 1")

    from tempfile import TemporaryDirectory

    from rlkit.evaluate.models import find_models
    from rlkit.evaluate.plan import Settings, make_task

    settings = Settings(
        num_samples=samples,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        prompt_form=prompt,  # pyright: ignore[reportArgumentType] - Settings checks it
        engine=engine,  # pyright: ignore[reportArgumentType]
        batch_size=batch_size,
        seed=seed,
    )
    found = find_models(models)
    tasks = [make_task(benchmark, files.get(benchmark.name), limit) for benchmark in chosen]
    if out is not None:
        _run(found, tasks, settings, out)
        typer.echo(f"completions, summary.json and report.md in {out}")
        evaluated.draw_checkpoints(out)
        return
    with TemporaryDirectory() as folder:
        _run(found, tasks, settings, Path(folder))


def _run(models: list[str], tasks: "list[Task]", settings: "Settings", out: Path) -> None:
    """Evaluate, report, and show the results of this command (`out` may hold others)."""
    from rich.console import Console

    from rlkit.evaluate.report import to_table, warnings, write_report
    from rlkit.evaluate.run import evaluate as run

    results = run(models, tasks, settings, out)
    folders = {(result.label, result.benchmark) for result in results}
    records = [record for record in write_report(out) if (record["label"], record["benchmark"]) in folders]
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(to_table(records))
    for record in records:
        for warning in warnings(record):
            typer.echo(warning, err=True)


def _choose(
    names: str | None,
    dataset: Path | None,
    reward: str | None,
    prompt_column: str,
    instruction: str,
    out: Path | None,
) -> "list[Benchmark]":
    """The benchmarks of `--benchmarks`, or one made of `--dataset` and `--reward`."""
    from rlkit.evaluate.benchmark import Benchmark

    if (names is None) == (dataset is None):
        raise ValueError("give either --benchmarks (such as gsm8k,math500) or --dataset FILE with --reward")
    if names is not None:
        if reward is not None:
            raise ValueError(f"reward ({reward}) goes with --dataset; a benchmark has its own")
        if out is None:
            raise ValueError(NO_OUT)
        return _choose_benchmarks(names)
    assert dataset is not None
    if reward is None:
        raise ValueError("reward is missing: --dataset needs --reward FILE.py:FUNCTION or MODULE:FUNCTION")
    from rlkit.prompts.files import read_rows

    has_prompt = "prompt" in read_rows(dataset)[0]
    return [
        Benchmark(
            name=dataset.name.split(".")[0],
            data=str(dataset),
            prompt="prompt" if has_prompt else None,
            question=() if has_prompt else f"{{{prompt_column}}}",
            instruction=instruction,
            reward=reward,
            max_new_tokens=512,
        )
    ]


def _choose_benchmarks(names: str | None) -> "list[Benchmark]":
    from rlkit.evaluate.benchmarks import find_benchmark

    if names is None:
        raise ValueError("benchmarks is missing: name some, such as --benchmarks math500,aime24")
    return [find_benchmark(name.strip()) for name in names.split(",")]
