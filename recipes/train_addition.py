"""One run of the demo: GRPO on reversed addition from a warm start, under a curriculum.

    python recipes/train_addition.py --config recipes/configs/addition.yaml --curriculum pcl \
        --warm_start runs/demo/warm_start-0 --output_dir runs/demo/pcl

Every field of GRPOConfig, CurriculumConfig and ObjectivesConfig can be set. A run that was stopped goes on
from its last checkpoint; `--max_steps` beyond a finished run's goes on too. A missing warm start is made.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rlkit.settings import program

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
program.begin()

import torch
from addition import exact_success, make_problems, reward, warm_start
from datasets import Dataset
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig

from rlkit import CurriculumConfig, CurriculumGRPOTrainer, build_curriculum
from rlkit.hosts.trl.page_server import PageServer
from rlkit.record.checkpoint import AUTO, find_checkpoint
from rlkit.record.ledger import StepLog
from rlkit.settings.arguments import parse_arguments
from rlkit.settings.objectives import ObjectivesConfig


@dataclass
class AdditionArguments:
    """What this recipe adds to TRL's settings."""

    warm_start: str | None = field(
        default=None,
        metadata={"help": "Folder of the policy to start from. Default: runs/warm_start-<warm_start_seed>."},
    )
    warm_start_seed: int = field(default=0, metadata={"help": "Used where the folder has to be made."})
    num_prompts: int = field(default=4096, metadata={"help": "Prompts in the pool."})
    num_heldout: int = field(default=1024, metadata={"help": "Held-out prompts, none of them in the pool."})
    heldout_steps: int = field(default=5, metadata={"help": "Steps between held-out evaluations."})
    resume: str = field(
        default=AUTO,
        metadata={"help": "auto: the newest whole checkpoint, if any; or a folder."},
    )


class HeldOutAccuracy(TrainerCallback):
    """Appends the exact held-out accuracy to `heldout.jsonl`: at start and end, and every few steps."""

    def __init__(self, measure: Callable[[], float], path: Path, every: int):
        self.measure, self.path, self.every = measure, path, every

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.state = state
        self.log = StepLog(self.path, state.global_step if state.global_step else -1)
        if state.global_step == 0:
            self.log.write({"step": 0, "accuracy": self.measure()})

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step % self.every == 0 or control.should_training_stop:
            self.log.write({"step": state.global_step, "accuracy": self.measure()})

    def evaluate_now(self) -> None:
        self.log.write({"step": self.state.global_step, "accuracy": self.measure()})


def main() -> None:
    arguments, training, settings, objectives = parse_arguments(
        (AdditionArguments, GRPOConfig, CurriculumConfig, ObjectivesConfig)
    )
    torch.set_num_threads(1)
    program.quiet_libraries()
    start = Path(arguments.warm_start or f"runs/warm_start-{arguments.warm_start_seed}")
    start.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(start.with_name(f"{start.name}.lock")):  # runs that begin together make it once
        if not start.exists():
            warm_start(start, arguments.warm_start_seed)

    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    pool = make_problems(arguments.num_prompts, seed=training.seed, split="pool")
    heldout = make_problems(arguments.num_heldout, seed=1, split="heldout")
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


if __name__ == "__main__":
    main()
