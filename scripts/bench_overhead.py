"""What `CurriculumGRPOTrainer` with uniform prompts costs beside plain `GRPOTrainer`, as a paired ratio.

    python scripts/bench_overhead.py                      the demo's model, 0.16M parameters
    python scripts/bench_overhead.py --hidden 256 --layers 6 --pairs 8     a model more than 10 times as large

Both trainers live in one process and take turns, a block of steps each, in an order that is drawn anew for each pair of
blocks, so that both see the same machine. Completions have a fixed length (no end token is sampled), so both do the
same work. Prints each pair's ratio of seconds a step, their median, and its bootstrap 95% interval.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rlkit import CurriculumGRPOTrainer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
from addition import MAX_COMPLETION_LENGTH, make_problems, make_tokenizer, reward


class Seconds(TrainerCallback):
    """Seconds of each optimizer step, from the end of one to the end of the next."""

    def __init__(self) -> None:
        self.last, self.steps = 0.0, []

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.last = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now


def make_model(hidden: int, layers: int) -> LlamaForCausalLM:
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def block_seconds(kind: type[GRPOTrainer], model: LlamaForCausalLM, num_steps: int) -> float:
    """Median seconds a step of a fresh trainer of this kind, its first two steps left out."""
    timer = Seconds()
    with tempfile.TemporaryDirectory() as folder:
        trainer = kind(
            model,
            reward_funcs=reward,
            args=GRPOConfig(
                folder,
                per_device_train_batch_size=128,
                num_generations=8,
                max_completion_length=MAX_COMPLETION_LENGTH,
                generation_kwargs={"min_new_tokens": MAX_COMPLETION_LENGTH},
                max_steps=num_steps,
                save_strategy="no",
                logging_steps=10,
                bf16=False,
                gradient_checkpointing=False,
                use_cpu=True,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(make_problems(1024)),
            processing_class=make_tokenizer(),
            callbacks=[timer],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return float(np.median(timer.steps[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=22, help="steps of a block")
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    model = make_model(arguments.hidden, arguments.layers)
    print(f"{model.num_parameters():,} parameters, {arguments.pairs} pairs of {arguments.steps} steps")
    ratios = []
    for _ in range(arguments.pairs):
        kinds = [GRPOTrainer, CurriculumGRPOTrainer]
        seconds = {}
        for position in rng.permutation(2):
            seconds[kinds[position]] = block_seconds(kinds[position], model, arguments.steps)
        ratios.append(seconds[CurriculumGRPOTrainer] / seconds[GRPOTrainer])
        print(f"{seconds[GRPOTrainer]:.4f} s plain, x{ratios[-1]:.4f}", flush=True)
    resampled = np.median(rng.choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    print(f"median ratio {np.median(ratios):.4f} (95% interval {low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
