"""Seconds to an accuracy: the synchronous trainer and the asynchronous one, uniform prompts and `rlkit`'s.

    python scripts/bench_async.py runs/async-bench --steps 16 --seeds 3

The task is that of recipes/addition.py. Three ways to train: `sync` generates in the trainer's process,
`sync_server` and `async` have one real vLLM server (its CPU build), with the tests' stand-ins for attention
and weight transfer. All arms run in turn in this process. Beside the seconds on the clock, which other jobs
stretch, each line has the processor's seconds of the trainer, of the rollout process and of the server.
Evaluations between steps are not counted. Called again it goes on with the runs that are missing.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "hosts" / "trl"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "hosts" / "async_trl"))

import addition
import async_cpu
import tiny_policy
import torch
from async_runs import free_port
from datasets import Dataset
from servers import serving
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig

from rlkit import AsyncCurriculumGRPOTrainer, CurriculumConfig, CurriculumGRPOTrainer
from rlkit.hosts.async_trl.translated import from_sync
from rlkit.report.curves import paired_ratio

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
CURRICULA = {"uniform": {}, "rlkit": {"value_features": "text,past"}}
KINDS = ("sync", "sync_server", "async")
EVERY = 2
ACCURACIES = (0.51, 0.52)
PARTS = ("trainer", "rollouts", "server")


def reward(completions: list, answer: list[str], **columns: Any) -> list[float]:
    return tiny_policy.reward([completion[0]["content"] for completion in completions], answer)


def processor_seconds(pid: int | None) -> float:
    """Of a process and what it started."""
    if pid is None:
        return 0.0
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


class HeldOut(TrainerCallback):
    """Accuracy, completions spent, seconds on the clock and of the processor, a line every few steps."""

    def __init__(self, path: Path, model: Path, server: int | None):
        self.path, self.server, self.trainer = path, server, None
        self.problems = addition.make_problems(512, seed=1, split="heldout")
        self.tokenizer = addition.make_tokenizer()
        # A copy: the asynchronous trainer's model takes packed trees alone.
        self.copy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        self.spent = np.zeros(1 + len(PARTS))
        self.since: np.ndarray | None = None

    def now(self) -> np.ndarray:
        """Seconds on the clock, and of each part's processor."""
        worker = getattr(self.trainer, "worker", None)
        rollouts = None if worker is None or worker._process is None else worker._process.pid
        own = time.process_time()
        return np.array([time.monotonic(), own, processor_seconds(rollouts), processor_seconds(self.server)])

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        if self.since is None:
            self.since = self.now()

    def on_step_end(self, args, state, control, model=None, **kwargs) -> None:
        self.spent += self.now() - self.since
        if state.global_step % EVERY == 0:
            self.copy.load_state_dict(model.state_dict())
            accuracy = float(tiny_policy.exact_success(self.copy, self.tokenizer, self.problems).mean())
            seconds = dict(zip(("seconds", *PARTS), self.spent.round(3).tolist(), strict=True))
            line = {"step": state.global_step, "accuracy": accuracy, **seconds, "load": os.getloadavg()[0]}
            line["completions"] = self.trainer.record.totals["rollouts/spent_total"]
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        self.since = self.now()


def make_trainer(folder: Path, kind: str, curriculum: str, seed: int, steps: int, url: str, pid: int) -> Any:
    model = folder.parent / "model"
    settings: dict[str, Any] = {
        "per_device_train_batch_size": 128,
        "num_generations": 8,
        "max_completion_length": 10,
        "learning_rate": 4e-4,
        "warmup_steps": 10,
        "max_steps": steps,
        "lr_scheduler_type": "constant_with_warmup",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "seed": seed,
        "gradient_checkpointing": False,
        "model_init_kwargs": {"dtype": "float32"},
    }
    if kind == "sync_server":
        settings |= {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": url}
    problems = [
        {**row, "prompt": [{"role": "user", "content": row["prompt"]}]}
        for row in addition.make_problems(4096, seed=seed, split="pool")
    ]
    held_out = HeldOut(folder.with_suffix(".jsonl"), model, None if kind == "sync" else pid)
    common: dict[str, Any] = {
        "reward_funcs": reward,
        "train_dataset": Dataset.from_list(problems),
        "processing_class": AutoTokenizer.from_pretrained(model),
        "curriculum": CurriculumConfig(curriculum, **CURRICULA[curriculum]),
        "callbacks": [held_out],
    }
    args: Any = GRPOConfig(str(folder), **settings)
    if kind == "async":
        args = from_sync(args, max_staleness=2, token_budget=0, vllm_server_base_url=url)
        transfer = async_cpu.FileTransfer(url, folder.parent / "weights.safetensors")
        trainer: Any = AsyncCurriculumGRPOTrainer(str(model), args=args, weight_transfer=transfer, **common)
        begin = trainer.worker.start

        def start() -> None:
            begin()
            held_out.since = held_out.now()  # the first groups count, the process's imports do not

        trainer.worker.start = start
    else:
        trainer = CurriculumGRPOTrainer(str(model), args=args, **common)
    held_out.trainer = trainer
    return trainer


def run_arm(arguments: argparse.Namespace, kind: str, curriculum: str, seed: int, url: str, pid: int) -> None:
    folder = arguments.folder / f"{kind}-{curriculum}-{seed}"
    path = folder.with_suffix(".jsonl")
    if path.exists() and len(path.read_text().splitlines()) >= arguments.steps // EVERY:
        return
    path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    make_trainer(folder, kind, curriculum, seed, arguments.steps, url, pid).train()
    print(path.stem, path.read_text().splitlines()[-1], flush=True)


def reached(folder: Path, kind: str, curriculum: str, accuracy: float, name: str, seeds: int) -> np.ndarray:
    """What each seed's run had spent when it came to an accuracy; NaN where it did not."""
    found = np.full(seeds, np.nan)
    for seed in range(seeds):
        lines = map(json.loads, (folder / f"{kind}-{curriculum}-{seed}.jsonl").read_text().splitlines())
        first = next((line for line in lines if line["accuracy"] >= accuracy), None)
        if first is not None:
            found[seed] = sum(first[part] for part in PARTS) if name == "processor" else first[name]
    return found


def tell(folder: Path, seeds: int) -> None:
    """Each arm's runs, and ratios paired by seed: to its way's uniform prompts, and to `sync_server`'s."""
    for accuracy in ACCURACIES:
        for name in ("step", "completions", "seconds", "processor", *PARTS):
            spent = {
                (kind, curriculum): reached(folder, kind, curriculum, accuracy, name, seeds)
                for kind in KINDS
                for curriculum in CURRICULA
            }
            for (kind, curriculum), value in spent.items():
                line = f"to {accuracy} {name:9} {kind}-{curriculum:8} {np.round(value, 1).tolist()}"
                for other in ((kind, "uniform"), ("sync_server", curriculum)):
                    if other != (kind, curriculum):
                        ratio, low, high = paired_ratio(value.tolist(), spent[other].tolist())
                        line += f"  {ratio:.2f} ({low:.2f} to {high:.2f}) of {'-'.join(other)}"
                print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    model = arguments.folder / "model"
    if not model.exists():
        addition.warm_start(model, num_heads=2)
        tokenizer = AutoTokenizer.from_pretrained(model)
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(model)
    # Here, as the rollout process imports this file.
    import trl.generation.vllm_client as client
    import vllm_on_cpu

    os.chdir(arguments.folder)  # where weights go through a file
    torch.set_num_threads(1)
    async_cpu.use_cpu()
    client.VLLMClient.init_communicator = vllm_on_cpu.connect_through_file
    client.packed_nccl_broadcast_producer = vllm_on_cpu.send_through_file
    port = free_port()
    # vLLM on a CPU dies where it cuts the prefill of a request with a seed, as all of TRL's have one.
    limits = ("--max-model-len", "64", "--max-num-batched-tokens", "16384")
    with serving(model, port, True, *limits) as server:
        for seed in range(arguments.seeds):
            for curriculum in CURRICULA:
                for kind in KINDS:
                    run_arm(arguments, kind, curriculum, seed, f"http://127.0.0.1:{port}", server.pid)
    tell(arguments.folder, arguments.seeds)


if __name__ == "__main__":
    main()
