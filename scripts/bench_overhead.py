"""What `CurriculumGRPOTrainer` costs beside plain `GRPOTrainer`, as a paired ratio.

    python scripts/bench_overhead.py                             the demo's model, 0.16M parameters, uniform
    python scripts/bench_overhead.py --curriculum pcl            with the cost of selection, and without
    python scripts/bench_overhead.py --hidden 192 --layers 4     a model ten times as large
    python scripts/bench_overhead.py --control                   plain against plain: the error of this method

The two trainers run in two threads of one process and hand each other a baton after every optimizer step, so
that each step of one is paired with a step of the other on the same machine at the same time. Who is made and
goes first alternates from round to round, since the place alone makes a difference of a few percent.
Completions have a fixed length (no end token is sampled), so both do the same work. Prints each round's
median ratio of seconds a step, and their mean with a bootstrap 95% interval over rounds; once with the
seconds of selection and once without them.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
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
from addition import MAX_COMPLETION_LENGTH, make_problems, make_tokenizer
from tiny_policy import reward

WARM_UP = 5


class Baton(TrainerCallback):
    """Times each optimizer step, its own callbacks included, and lets the other trainer take the next."""

    def __init__(self, mine: threading.Semaphore, other: threading.Semaphore) -> None:
        self.mine, self.other = mine, other
        self.started, self.seconds = 0.0, []

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self.mine.acquire()
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.seconds.append(time.perf_counter() - self.started)
        self.other.release()


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


def make_trainer(
    kind: type[GRPOTrainer], folder: Path, arguments: argparse.Namespace, baton: Baton
) -> GRPOTrainer:
    extra = {"curriculum": arguments.curriculum} if kind is CurriculumGRPOTrainer else {}
    trainer = kind(
        make_model(arguments.hidden, arguments.layers),
        reward_funcs=reward,
        args=GRPOConfig(
            str(folder),
            per_device_train_batch_size=128,
            num_generations=8,
            max_completion_length=MAX_COMPLETION_LENGTH,
            generation_kwargs={"min_new_tokens": MAX_COMPLETION_LENGTH},
            max_steps=WARM_UP + arguments.steps,
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
        **extra,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(baton)  # the last, so that the others are timed with the step
    return trainer


def run_round(kinds: list[type[GRPOTrainer]], arguments: argparse.Namespace) -> list[np.ndarray]:
    """Seconds of each timed step and of its selection, (steps, 2), for each kind in the order given."""
    first, second = threading.Semaphore(1), threading.Semaphore(0)
    batons = [Baton(first, second), Baton(second, first)]
    with tempfile.TemporaryDirectory() as folder:
        trainers = [
            make_trainer(kind, Path(folder) / str(number), arguments, baton)
            for number, (kind, baton) in enumerate(zip(kinds, batons, strict=True))
        ]
        threads = [threading.Thread(target=trainer.train) for trainer in trainers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        selections = [selection_seconds(Path(folder) / str(number)) for number in range(2)]
    return [
        np.column_stack([baton.seconds, selection or np.zeros(len(baton.seconds))])[WARM_UP:]
        for baton, selection in zip(batons, selections, strict=True)
    ]


def selection_seconds(folder: Path) -> list[float]:
    """Of each step; none of a plain trainer."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["seconds/selection"] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each in a round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--curriculum", default="uniform")
    parser.add_argument("--control", action="store_true", help="plain against plain")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    size = make_model(arguments.hidden, arguments.layers).num_parameters()
    print(f"{size:,} parameters, {arguments.rounds} rounds of {arguments.steps} pairs of steps")
    log_ratios = []
    for number in range(arguments.rounds):
        kinds = [GRPOTrainer, GRPOTrainer if arguments.control else CurriculumGRPOTrainer]
        order = [0, 1] if number % 2 == 0 else [1, 0]
        seconds = run_round([kinds[position] for position in order], arguments)
        plain, other = (seconds[order.index(position)] for position in (0, 1))
        whole, selection = other.T
        both = np.array([whole, whole - selection]) / plain[:, 0]
        log_ratios.append(np.median(np.log(both), axis=1))
        with_it, without = np.exp(log_ratios[-1])
        print(
            f"{np.median(plain[:, 0]):.4f} s a step plain, x{with_it:.4f}, without selection x{without:.4f}",
            flush=True,
        )
    rounds = np.random.default_rng(0).integers(arguments.rounds, size=(10_000, arguments.rounds))
    for name, column in zip(("whole", "without selection"), np.array(log_ratios).T, strict=True):
        low, high = np.exp(np.quantile(column[rounds].mean(axis=1), [0.025, 0.975]))
        print(f"mean ratio, {name}: {np.exp(column.mean()):.4f} (95% interval {low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
