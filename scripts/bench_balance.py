"""Seconds of the update with lengths balanced and as TRL has them, on two processes (gloo), paired.

    python -m torch.distributed.run --standalone --nproc_per_node=2 scripts/bench_balance.py
    ... scripts/bench_balance.py --least 400 --most 400     equal lengths: its cost where nothing is saved
    ... scripts/bench_balance.py --accumulation 1           one micro-batch a step

Completions are made up, of lengths from `least` to `most`, each as likely as any other. Steps come in pairs
of the same lengths, one balanced and one not; which goes first alternates, and the learning rate is 0. Prints
the seconds of both from the end of generation on, those of dealing alone, and the ratio with a bootstrap 95%
interval over pairs.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig

from rlkit import CurriculumGRPOTrainer
from rlkit.settings import program

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
from addition import make_problems, make_tokenizer

RANK = int(os.environ.get("RANK", 0))


class Timed(CurriculumGRPOTrainer):
    """Balances every second step; notes the seconds of what follows a generation, and of dealing."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.seconds: list[float] = []
        self.dealing: list[float] = []
        super().__init__(*args, **kwargs)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        self.balance.on = self.state.global_step % 4 in (0, 3)  # which comes first alternates
        torch.manual_seed(1000 * RANK + self.state.global_step // 2)  # the same shuffle for both of a pair
        output = super()._generate_and_score_completions(inputs)
        self.accelerator.wait_for_everyone()
        self.generated = time.perf_counter()
        return output

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        before, self.generated = self._buffered_inputs, None
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is not before:
            self.started = self.generated
            self.dealing.append(time.perf_counter() - self.generated)
        return inputs

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        if self._step % self.args.steps_per_generation == 0:
            self.accelerator.wait_for_everyone()
            self.seconds.append(time.perf_counter() - self.started)
        return loss


def made_up(least: int, most: int) -> Any:
    """A rollout function with completions of these lengths, the same for both steps of a pair."""

    def rollout(prompts: list, trainer: Any) -> dict[str, Any]:
        rng = np.random.default_rng((RANK, trainer.state.global_step // 2))
        lengths = rng.integers(least, most, size=len(prompts), endpoint=True)
        completion_ids = [rng.integers(1, 11, size=length).tolist() for length in lengths]
        prompt_ids = trainer.processing_class(text=prompts)["input_ids"]
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}

    return rollout


def by_length(completions: list, **columns: Any) -> list[float]:
    return [float(len(text) % 2) for text in completions]


def make_model(hidden: int) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=13,
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--least", type=int, default=10)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=4, help="rows of a micro-batch")
    parser.add_argument("--accumulation", type=int, default=4, help="micro-batches of a step")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=16)
    options = parser.parse_args()
    program.quiet_libraries()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(
            make_model(options.hidden),
            reward_funcs=by_length,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=options.rows,
                gradient_accumulation_steps=options.accumulation,
                num_generations=4,
                max_completion_length=options.most,
                max_steps=2 * options.pairs + 2,
                learning_rate=0.0,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=False,
                disable_tqdm=True,
                log_level="error",
                gradient_checkpointing=False,
            ),
            train_dataset=Dataset.from_list(make_problems(1024)),
            processing_class=make_tokenizer(),
            rollout_func=made_up(options.least, options.most),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if RANK == 0:
        report(trainer)
    program.leave()


def report(trainer: Timed) -> None:
    """The first pair warms up."""
    step_N = np.arange(len(trainer.seconds))[2:]
    balanced_N = np.isin(step_N % 4, (0, 3))
    of = {
        name: np.array(values)[2:]
        for name, values in (("update", trainer.seconds), ("dealing", trainer.dealing))
    }
    ours, plain = of["update"][balanced_N], of["update"][~balanced_N]
    ratio = ours / plain
    rng = np.random.default_rng(0)
    means = np.exp(np.log(ratio)[rng.integers(len(ratio), size=(4000, len(ratio)))].mean(axis=1))
    low, high = np.quantile(means, [0.025, 0.975])
    print(
        f"update: {np.median(ours):.2f} s balanced, {np.median(plain):.2f} s as TRL, medians of {len(ratio)}"
    )
    print(f"ratio {np.exp(np.log(ratio).mean()):.3f} ({low:.3f} to {high:.3f})")
    print(
        f"dealing itself: {1000 * np.median(of['dealing'][balanced_N]):.1f} ms balanced, "
        f"{1000 * np.median(of['dealing'][~balanced_N]):.1f} ms as TRL"
    )


if __name__ == "__main__":
    main()
