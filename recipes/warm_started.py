"""A run of GRPO from a warm start that a recipe makes itself, on tasks of strings (tiny_policy.py).

Every field of GRPOConfig, CurriculumConfig and ObjectivesConfig can be set. A run that was stopped goes on
from its last checkpoint; `--max_steps` beyond a finished run's goes on too. A missing warm start is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from datasets import Dataset
from filelock import FileLock
from held_out import HeldOutAccuracy
from tiny_policy import exact_success, reward
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from rlkit import CurriculumConfig, CurriculumGRPOTrainer, build_curriculum
from rlkit.hosts.trl.page_server import PageServer
from rlkit.record.checkpoint import AUTO, find_checkpoint
from rlkit.settings import program
from rlkit.settings.arguments import parse_arguments
from rlkit.settings.objectives import ObjectivesConfig


@dataclass
class WarmStartArguments:
    """What these recipes add to TRL's settings."""

    warm_start: str | None = field(
        default=None,
        metadata={"help": "Folder of the policy to start from. Default: by the task and warm_start_seed."},
    )
    warm_start_seed: int = field(default=0, metadata={"help": "Used where the folder has to be made."})
    num_prompts: int = field(default=4096, metadata={"help": "Prompts in the pool."})
    num_heldout: int = field(default=1024, metadata={"help": "Held-out prompts, none of them in the pool."})
    heldout_steps: int = field(default=5, metadata={"help": "Steps between held-out evaluations."})
    resume: str = field(
        default=AUTO,
        metadata={"help": "auto: the newest whole checkpoint, if any; or a folder."},
    )


def train(
    make_problems: Callable[..., list[dict]], warm_start: Callable[[Path, int], None], folder: str
) -> None:
    """One run, as its command line says.

    Args:
        make_problems: rows of a `num`, `seed` and `split`.
        warm_start: makes a policy at a path from a seed.
        folder: where warm starts are, with their seed behind.
    """
    arguments, training, settings, objectives = parse_arguments(
        (WarmStartArguments, GRPOConfig, CurriculumConfig, ObjectivesConfig)
    )
    torch.set_num_threads(1)
    program.quiet_libraries()
    program.keep_memory()
    pool = make_problems(arguments.num_prompts, seed=training.seed, split="pool")
    if settings.hints:  # what can be revealed: the answer, a character a step
        pool = [problem | {"solution": list(problem["answer"])} for problem in pool]
    heldout = make_problems(arguments.num_heldout, seed=1, split="heldout")
    start = Path(arguments.warm_start or f"{folder}-{arguments.warm_start_seed}")
    start.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(start.with_name(f"{start.name}.lock")):  # runs that begin together make it once
        if not start.exists():
            warm_start(start, arguments.warm_start_seed)

    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    if settings.curriculum_seed is None:
        settings.curriculum_seed = training.seed

    output_dir = Path(training.output_dir)
    find_checkpoint(arguments.resume, training.output_dir)  # says before the model trains what is in the way

    trainer = CurriculumGRPOTrainer(
        model,
        reward_funcs=reward,
        args=training,
        train_dataset=Dataset.from_list(pool),
        processing_class=tokenizer,
        callbacks=[PageServer()] if settings.live else None,
        curriculum=build_curriculum(
            settings,
            truth=lambda index_N: exact_success(model, tokenizer, [pool[index] for index in index_N]),
        ),
        objectives=objectives,
    )
    trainer.add_callback(
        HeldOutAccuracy(
            lambda: float(exact_success(model, tokenizer, heldout).mean()),
            output_dir / "heldout.jsonl",
            arguments.heldout_steps,
        )
    )
    trainer.train(resume_from_checkpoint=arguments.resume)
