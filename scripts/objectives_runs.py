"""What the scripts of the objectives share: runs on reversed addition, and paired intervals.

All arms begin from one warm start; those of a seed get the same prompts in the same order.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
from trl import GRPOConfig

from rlkit import CurriculumGRPOTrainer
from rlkit.settings import program

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
from addition import make_problems, make_tokenizer, warm_start
from tiny_policy import exact_success, reward

__all__ = [
    "Curve",
    "compare",
    "exact_success",
    "interval",
    "kept",
    "logged",
    "make_problems",
    "make_tokenizer",
    "started",
    "steps_to",
    "train",
]

T_95 = {4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t at 97.5% by degrees of freedom."""


def started(folder: Path, seed: int) -> Any:
    """The warm start of a seed, made where it is missing."""
    path = folder / f"warm_start-{seed}"
    if not path.exists():
        warm_start(path, seed)
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def train(
    model: Any,
    rows: list[dict],
    seed: int,
    objectives: Any,
    *,
    rewards: Any = reward,
    curriculum: Any = "uniform",
    callbacks: Sequence[TrainerCallback] = (),
    **settings: Any,
) -> CurriculumGRPOTrainer:
    """One run, under uniform prompts unless a curriculum is given; TRL's metrics of each step are in
    `state.log_history`."""
    program.quiet_libraries()
    torch.set_num_threads(1)
    defaults = {
        "per_device_train_batch_size": 64,
        "num_generations": 8,
        "max_completion_length": 10,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "log_level": "error",
        "gradient_checkpointing": False,
        "seed": seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        trainer = CurriculumGRPOTrainer(
            model,
            reward_funcs=rewards,
            args=GRPOConfig(output_dir=folder, **{**defaults, **settings}),
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(),
            curriculum=curriculum,
            objectives=objectives,
            callbacks=list(callbacks),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if trainer.state.global_step < trainer.state.max_steps:  # SIGTERM ends the training, not the script
        sys.exit(f"stopped after step {trainer.state.global_step} of {trainer.state.max_steps}")
    return trainer


class Curve(TrainerCallback):
    """Held-out success before the first step, and after every `every`-th."""

    def __init__(self, held: list[dict], every: int):
        self.held, self.every = held, every
        self.success: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._look(kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self._look(kwargs["model"])

    def _look(self, model: Any) -> None:
        self.success.append(float(exact_success(model, make_tokenizer(), self.held).mean()))


def steps_to(target: float, success: Sequence[float], every: int) -> float:
    """Steps until a curve reaches the target, interpolated; all of them where it never does.

    0.5 of (0.0, 0.4, 0.6), a value each 4 steps -> 6.0
    """
    for place, value in enumerate(success):
        if value >= target:
            before = success[max(place - 1, 0)]
            return every * max(place - (value - target) / max(value - before, 1e-9), 0.0)
    return every * float(len(success) - 1)


def kept(path: Path, run: Callable[[], Any]) -> Any:
    """What a run brought, from its file where it has been made."""
    if not path.exists():
        path.write_text(json.dumps(run()))
    return json.loads(path.read_text())


def logged(trainer: Any, name: str, last: int | None = None) -> float:
    """The mean of a metric over the last steps, or over all."""
    values = [line[name] for line in trainer.state.log_history if name in line]
    return statistics.fmean(values if last is None else values[-last:])


def interval(values: Sequence[float]) -> str:
    """Mean and 95% interval over seeds."""
    half = T_95[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values)
    return f"{mean:.4f} ({mean - half:.4f} to {mean + half:.4f})"


def compare(rows: dict[str, list[dict[str, float]]], base: str) -> None:
    """Prints each arm's numbers, and its differences from `base` by seed."""
    for arm, runs in rows.items():
        for name in runs[0]:
            values = [run[name] for run in runs]
            line = f"{arm:>12} {name:<12} {interval(values)}"
            if arm != base:
                pairs = zip(values, (run[name] for run in rows[base]), strict=True)
                line += f"   minus {base}: {interval([value - other for value, other in pairs])}"
            print(line, flush=True)
