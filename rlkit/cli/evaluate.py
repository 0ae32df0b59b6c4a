"""`rlkit eval`: what saved models can do."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rlkit.cli import evaluate_options as options

if TYPE_CHECKING:
    from rlkit.evaluate.benchmark import Benchmark
    from rlkit.evaluate.plan import Settings, Task

WIDTH = 150  # of the table where the terminal is narrower, or there is none
NO_OUT = "out is missing: completions are kept there, and a killed evaluation goes on from it; give --out DIR"


def evaluate(
    models: options.Models = None,
    benchmarks: options.Benchmarks = None,
    data: options.Data = None,
    dataset: options.DatasetFile = None,
    reward: options.Reward = None,
    prompt_column: options.PromptColumn = "question",
    instruction: options.Instruction = "",
    samples: options.Samples = 1,
    engine: options.Engine = "transformers",
    out: options.Out = None,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: options.Temperature = 1.0,
    prompt: options.PromptKind = "auto",
    batch_size: options.BatchSize = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    compare: options.Compare = None,
    check_overlap: options.CheckOverlap = None,
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
    chosen = _choose(benchmarks, dataset, reward, prompt_column, instruction, out)
    files = _files(data or [], chosen, limit)

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
    _report(found, [make_task(each, files.get(each.name), limit) for each in chosen], settings, out)


def _files(data: list[str], chosen: "list[Benchmark]", limit: int | None) -> "dict[str, Path]":
    """The local copies of benchmarks' rows, by name."""
    from rlkit.evaluate.benchmarks import data_files

    files = data_files(data, [benchmark.name for benchmark in chosen])
    if limit is not None and limit < 1:
        raise ValueError(f"limit ({limit}) must be at least 1")
    return files


def _report(models: list[str], tasks: "list[Task]", settings: "Settings", out: Path | None) -> None:
    """Evaluates into `out`, or shows the numbers alone."""
    from tempfile import TemporaryDirectory

    from rlkit.cli import evaluated
    from rlkit.settings import program

    program.quiet_libraries()
    if out is None:
        with TemporaryDirectory() as folder:
            return _run(models, tasks, settings, Path(folder))
    _run(models, tasks, settings, out)
    typer.echo(f"completions, summary.json and report.md in {out}")
    evaluated.draw_checkpoints(out)


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
