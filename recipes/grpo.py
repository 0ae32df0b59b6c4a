"""GRPO with a prompt curriculum on a real model.

    rlkit launch recipes/grpo.py --config recipes/configs/gsm8k_qwen2.5_0.5b.yaml
    rlkit launch recipes/grpo.py --config ... --curriculum dapo --dataset_path my.jsonl --rewards my.py:reward
    rlkit launch recipes/grpo.py --config ... --async true   # beside a vLLM server: docs/async.md

(`rlkit launch` is `accelerate launch` without the launcher's own messages; the latter works too.)

Every field of GRPOConfig, ModelConfig, CurriculumConfig and ObjectivesConfig can stand in the YAML file or on
the command line. All that can be wrong with settings, data and rewards is checked before the model loads.
SIGTERM saves a checkpoint at the step's end; `--resume auto` goes on from it. Files named by `rewards` run as
your own code.
"""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlkit.settings import program

program.begin()

import yaml
from datasets import Dataset, load_dataset
from trl import GRPOConfig, ModelConfig, get_peft_config, get_quantization_config

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.collect import UnfilledBatchError
from rlkit.curriculum.presets import resolve_config
from rlkit.evaluate.benchmarks import data_files, find_benchmark
from rlkit.evaluate.plan import Task, make_task
from rlkit.hosts.trl.benchmarks import BenchmarkCallback
from rlkit.hosts.trl.page_server import PageServer
from rlkit.hosts.trl.saving import SavingError
from rlkit.hosts.trl.watch import NothingGradedError
from rlkit.prompts.files import read_rows, to_prompt_rows
from rlkit.record.checkpoint import AUTO, check_output_dir, find_checkpoint, resume_setting
from rlkit.settings.arguments import parse_arguments
from rlkit.settings.asynchronous import AsyncArguments
from rlkit.settings.columns import has_column, parse_columns, value_of, with_columns
from rlkit.settings.objectives import ObjectivesConfig
from rlkit.verify.load import load_class, load_reward
from rlkit.verify.rewards import check_golds, check_reward

logger = logging.getLogger("rlkit.recipe")


@dataclass
class RecipeArguments:
    """What this recipe adds to TRL's and the curriculum's settings."""

    dataset_path: str | None = field(default=None, metadata={"help": "A .jsonl, .json or .parquet file."})
    dataset_name: str | None = field(default=None, metadata={"help": "A data set's id on the Hub."})
    dataset_config: str | None = field(default=None, metadata={"help": "Its configuration."})
    dataset_split: str = field(default="train", metadata={"help": "Its split."})
    prompt_column: str = field(
        default="question", metadata={"help": "The text to ask, used where rows have no `prompt`."}
    )
    columns: list[str] = field(
        default_factory=list,
        metadata={
            "help": "ARGUMENT=COLUMN: more columns, for rewards and presets; a.b is key b of column a, as in "
            "answer=reward_model.ground_truth."
        },
    )
    gold_column: str | None = field(
        default="answer",
        metadata={"help": "The gold answer, checked against the first reward; null (in YAML) for none."},
    )
    system_prompt: str | None = field(default=None, metadata={"help": "System message put before the text."})
    instruction: str | None = field(
        default=None, metadata={"help": "Put below the text in the user's message."}
    )
    rewards: list[str] = field(
        default_factory=lambda: ["rewards.math_answer:accuracy"],
        metadata={"help": "Reward functions: path/to/file.py:function or package.module:function."},
    )
    environment: str | None = field(
        default=None,
        metadata={
            "help": "FILE.py:Class for TRL's environment_factory; one with get_reward takes no rewards."
        },
    )
    num_eval: int = field(default=0, metadata={"help": "Rows held out for TRL's evaluation (eval_strategy)."})
    resume: str | None = field(
        default=None,
        metadata={
            "help": "auto: go on from the newest whole checkpoint in output_dir, or start where there is "
            "none; or a checkpoint's folder."
        },
    )
    eval_benchmarks: str | None = field(
        default=None,
        metadata={"help": "Benchmarks run during the training, as of `rlkit eval`: gsm8k,math500,my.yaml."},
    )
    eval_benchmark_steps: int = field(default=100, metadata={"help": "Optimizer steps between them."})
    eval_benchmark_samples: int = field(default=1, metadata={"help": "Completions a problem."})
    eval_benchmark_limit: int | None = field(
        default=None, metadata={"help": "Only the first problems of each."}
    )
    eval_benchmark_tokens: int | None = field(
        default=None, metadata={"help": "Most tokens of a completion. Default: max_completion_length."}
    )
    eval_data: list[str] = field(
        default_factory=list, metadata={"help": "NAME=FILE: a local copy of a benchmark's rows."}
    )


ARGUMENTS = (RecipeArguments, GRPOConfig, ModelConfig, CurriculumConfig, ObjectivesConfig, AsyncArguments)


def main() -> None:
    recipe, training, model, settings, objectives, flowing = parse_arguments(ARGUMENTS)
    if flowing.asynchronous:
        check_asynchronous(recipe, settings, objectives)
    resume = training.resume_from_checkpoint = resume_setting(recipe.resume, training.resume_from_checkpoint)
    checkpoint = find_checkpoint(resume, training.output_dir)
    if resume != AUTO:
        check_output_dir(training.output_dir, checkpoint)
    settings.value_gold_column = settings.value_gold_column or recipe.gold_column
    curriculum = resolve_config(settings)
    environment = None if recipe.environment is None else load_class(recipe.environment)
    owns_reward = hasattr(environment, "get_reward")
    rewards = [] if owns_reward else [load_reward(spec) for spec in recipe.rewards]
    rows = load_rows(recipe)
    if recipe.gold_column is not None and rewards:
        rows = with_accepted_golds(rows, rewards[0], recipe.gold_column)
    for reward in rewards:
        check_reward(reward, rows)
    held_out, pool = split(rows, recipe.num_eval, training.eval_strategy)
    tasks = load_benchmarks(recipe)

    program.quiet_libraries()
    training.model_init_kwargs = {**model_arguments(model), **(training.model_init_kwargs or {})}
    common = {
        "reward_funcs": rewards,
        "train_dataset": Dataset.from_list(pool),
        "peft_config": get_peft_config(model),
        "curriculum": settings,
    }
    if flowing.asynchronous:
        trainer = make_asynchronous(model.model_name_or_path, training, flowing, **common)
    else:
        trainer = CurriculumGRPOTrainer(
            model.model_name_or_path,
            args=training,
            eval_dataset=Dataset.from_list(held_out) if held_out else None,
            callbacks=[PageServer()] if settings.live else None,
            environment_factory=environment,
            objectives=objectives,
            **common,
        )
        trainer.data_name = recipe.dataset_name or recipe.dataset_path
    if tasks:
        benchmarks = BenchmarkCallback(
            trainer,
            tasks,
            recipe.eval_benchmark_steps,
            recipe.eval_benchmark_samples,
            max_new_tokens=recipe.eval_benchmark_tokens,
            seed=training.seed,
        )
        trainer.add_callback(benchmarks)
    if trainer.accelerator.is_main_process:
        write_config(Path(training.output_dir), recipe, training, model, curriculum, objectives)
    try:
        trainer.train(resume_from_checkpoint=resume)
    except (NothingGradedError, SavingError, UnfilledBatchError) as reason:
        raise SystemExit(f"rlkit: {reason}" if trainer.accelerator.is_main_process else 1) from reason
    if not trainer.preemption.stopped:
        trainer.save_model()


def check_asynchronous(
    recipe: RecipeArguments, settings: CurriculumConfig, objectives: ObjectivesConfig
) -> None:
    """Raises ValueError for what the asynchronous trainer does not have."""
    asked = {
        "eval_benchmarks": recipe.eval_benchmarks,
        "objectives": objectives.objectives,
        "live": settings.live,
        "environment": recipe.environment,
    }
    for name, value in asked.items():
        if value:
            raise ValueError(
                f"{name} ({value}) is not possible with --async true, whose server is busy with rollouts; "
                "leave it out (`rlkit eval RUN/checkpoint-*` and `rlkit report RUN` work on what it leaves)"
            )


def make_asynchronous(model: str, training: GRPOConfig, flowing: AsyncArguments, **common: Any) -> Any:
    """The asynchronous trainer with the same settings; it brings its own attention."""
    from rlkit import AsyncCurriculumGRPOTrainer
    from rlkit.hosts.async_trl.translated import from_sync

    training.model_init_kwargs.pop("attn_implementation", None)  # type: ignore[union-attr]
    if training.eval_strategy != "no":
        logger.warning(
            "eval_strategy (%s): TRL's asynchronous trainer does not evaluate", training.eval_strategy
        )
    unevaluated = {"eval_strategy": "no", "eval_on_start": False}
    args = from_sync(training, **flowing.numbers(), **unevaluated)
    return AsyncCurriculumGRPOTrainer(model, args=args, **common)


def load_rows(recipe: RecipeArguments) -> list[dict[str, Any]]:
    """The data set's rows, each with a `prompt`."""
    if (recipe.dataset_path is None) == (recipe.dataset_name is None):
        raise ValueError(
            f"dataset_path ({recipe.dataset_path}) and dataset_name ({recipe.dataset_name}): "
            "set exactly one of them, a file or an id on the Hub"
        )
    if recipe.dataset_path is not None:
        rows = read_rows(recipe.dataset_path)
    else:
        rows = load_dataset(recipe.dataset_name, recipe.dataset_config, split=recipe.dataset_split).to_list()
    columns = parse_columns(recipe.columns, "columns")
    for argument, column in columns.items():
        if not any(has_column(row, column) for row in rows):
            known = sorted({name for row in rows[:100] for name in row})
            raise ValueError(
                f"columns ({argument}={column}): no row has {column!r}; the data's columns are {known}"
            )
    rows = [with_columns(row, columns) for row in rows]
    if rows and "prompt" in rows[0]:
        return rows
    return to_prompt_rows(rows, recipe.prompt_column, recipe.system_prompt, recipe.instruction)


def split(rows: list[dict[str, Any]], num_eval: int, eval_strategy: Any) -> tuple[list[dict], list[dict]]:
    """The rows held out, and those to train on."""
    if not 0 <= num_eval < len(rows):
        raise ValueError(
            f"num_eval ({num_eval}) must be at least 0 and leave rows to train on: there are {len(rows)}"
        )
    if eval_strategy != "no" and num_eval == 0:
        raise ValueError(
            f"eval_strategy ({eval_strategy.value}) wants held-out rows, and num_eval is 0; set one of them"
        )
    return rows[:num_eval], rows[num_eval:]


def load_benchmarks(recipe: RecipeArguments) -> list[Task]:
    """The benchmarks to run during the training, with their problems; none where none is named."""
    if recipe.eval_benchmarks is None:
        return []
    if recipe.eval_benchmark_steps < 1:
        raise ValueError(f"eval_benchmark_steps ({recipe.eval_benchmark_steps}) must be at least 1")
    chosen = [find_benchmark(name.strip()) for name in recipe.eval_benchmarks.split(",")]
    files = data_files(recipe.eval_data, [benchmark.name for benchmark in chosen])
    return [
        make_task(benchmark, files.get(benchmark.name), recipe.eval_benchmark_limit) for benchmark in chosen
    ]


def with_accepted_golds(rows: list[dict[str, Any]], reward: Any, gold_column: str) -> list[dict[str, Any]]:
    """The rows whose own gold answer gets the full reward; training on the others would punish right answers.

    Raises:
        ValueError: more than half of the rows fail, so that the reward and the data hardly belong together.
    """
    failed = check_golds(reward, rows, gold_column)
    if not failed:
        return rows
    listed = "; ".join(
        f"row {position}: {str(value_of(rows[position], gold_column))[-60:]!r}" for position in failed[:10]
    )
    summary = (
        f"{len(failed)} of {len(rows)} gold answers in {gold_column!r} get no full reward "
        f"from {reward.__name__}: {listed}"
    )
    if len(failed) > len(rows) / 2:
        raise ValueError(
            f"{summary}; that is more than half: give a reward that fits the data, or another gold_column"
        )
    logger.warning("%s; these rows are dropped", summary)
    dropped = set(failed)
    return [row for position, row in enumerate(rows) if position not in dropped]


def model_arguments(model: ModelConfig) -> dict[str, Any]:
    """How `from_pretrained` is to load the policy."""
    arguments = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
    }
    quantization = get_quantization_config(model)
    if quantization is not None:
        arguments["quantization_config"] = quantization
    return arguments


def write_config(
    output_dir: Path, recipe, training, model, curriculum: CurriculumConfig, objectives: ObjectivesConfig
) -> None:
    """Writes every setting as it was used, with the preset's numbers filled in."""
    output_dir.mkdir(parents=True, exist_ok=True)
    sections = {
        "recipe": asdict(recipe),
        "curriculum": curriculum.numbers(),
        "objectives": asdict(objectives) if objectives.objectives else {},
        "model": {name: value for name, value in asdict(model).items() if value is not None},
        "training": training.to_sanitized_dict(),
    }
    (output_dir / "config.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))


if __name__ == "__main__":
    main()
    program.leave()
