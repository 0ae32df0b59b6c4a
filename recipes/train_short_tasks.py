"""One run of the demo on a real model: GRPO of SmolLM2-135M-Instruct on short tasks, under a curriculum.

    python recipes/train_short_tasks.py --config recipes/configs/short_tasks.yaml --curriculum rlkit \
        --output_dir runs/short/rlkit

Every field of GRPOConfig, CurriculumConfig and ObjectivesConfig can be set. A run that was stopped goes on
from its last checkpoint; `--max_steps` beyond a finished run's goes on too. A missing model is made from the
package index (short_tasks.py).
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from rlkit.settings import program

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
program.begin()

import torch
from datasets import Dataset
from filelock import FileLock
from held_out import HeldOutAccuracy
from short_tasks import fetch_model, is_right, make_prompts, reward
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.hosts.trl.page_server import PageServer
from rlkit.record.checkpoint import AUTO, find_checkpoint
from rlkit.settings.arguments import parse_arguments
from rlkit.settings.objectives import ObjectivesConfig

HELDOUT_BATCH = 64
"""Held-out prompts at a time: memory, not speed."""


@dataclass
class ShortTasksArguments:
    """What this recipe adds to TRL's settings."""

    model: str = field(
        default="runs/smollm2", metadata={"help": "A chat model's folder; made where missing."}
    )
    num_prompts: int = field(default=1520, metadata={"help": "Prompts in the pool."})
    num_heldout: int = field(default=190, metadata={"help": "Held-out prompts, none of them in the pool."})
    heldout_steps: int = field(default=5, metadata={"help": "Steps between held-out evaluations."})
    trained_share: float = field(
        default=1 / 3,
        metadata={"help": "Share of the layers, from the last, that trains: fast on a processor."},
    )
    resume: str = field(
        default=AUTO, metadata={"help": "auto: the newest whole checkpoint, if any; or a folder."}
    )


def main() -> None:
    arguments, training, settings, objectives = parse_arguments(
        (ShortTasksArguments, GRPOConfig, CurriculumConfig, ObjectivesConfig)
    )
    if not 0 < arguments.trained_share <= 1:
        raise ValueError(f"trained_share ({arguments.trained_share}) must be above 0 and at most 1")
    torch.set_num_threads(1)
    program.quiet_libraries()
    program.keep_memory()
    find_checkpoint(arguments.resume, training.output_dir)  # says before the model loads what is in the way
    folder = Path(arguments.model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):  # runs that begin together make it once
        if not folder.exists():
            fetch_model(folder)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    layers = model.model.layers
    model.requires_grad_(False)
    for layer in layers[len(layers) - round(arguments.trained_share * len(layers)) :]:
        layer.requires_grad_(True)
    if settings.curriculum_seed is None:
        settings.curriculum_seed = training.seed
    heldout = make_prompts(arguments.num_heldout, seed=1, split="heldout", shots=1)

    trainer = CurriculumGRPOTrainer(
        model,
        reward_funcs=reward,
        args=training,
        train_dataset=Dataset.from_list(
            make_prompts(arguments.num_prompts, seed=training.seed, split="pool", shots=1)
        ),
        processing_class=tokenizer,
        callbacks=[PageServer()] if settings.live else None,
        curriculum=settings,
        objectives=objectives,
    )
    trainer.add_callback(
        HeldOutAccuracy(
            lambda: greedy_accuracy(model, tokenizer, heldout, training.max_completion_length),
            Path(training.output_dir) / "heldout.jsonl",
            arguments.heldout_steps,
        )
    )
    trainer.train(resume_from_checkpoint=arguments.resume)


def greedy_accuracy(model, tokenizer, rows: list[dict], length: int) -> float:
    """Share of rows whose most likely completion, of at most `length` tokens, is right."""
    parts = [rows[first : first + HELDOUT_BATCH] for first in range(0, len(rows), HELDOUT_BATCH)]
    return sum(num_right(model, tokenizer, part, length) for part in parts) / len(rows)


@torch.inference_mode()
def num_right(model, tokenizer, rows: list[dict], length: int) -> int:
    texts = tokenizer.apply_chat_template(
        [row["prompt"] for row in rows], tokenize=False, add_generation_prompt=True
    )
    batch = tokenizer(
        texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
    ).to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16):
        ids = model.generate(**batch, max_new_tokens=length, do_sample=False)
    written = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return sum(is_right(text, row["answer"]) for text, row in zip(written, rows, strict=True))


if __name__ == "__main__":
    main()
