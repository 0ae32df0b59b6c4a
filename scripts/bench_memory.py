"""Memory of training with a curriculum beside plain TRL, over a large pool of prompts.

    python scripts/bench_memory.py --size 0.5B --prompts 1000000
    python scripts/bench_memory.py --size tiny --prompts 1000000      where the curriculum's share shows

Each trainer runs in a process of its own for a few steps, on a data set that is mapped from the disk. *Own*
is the most memory that the process itself held (RssAnon, looked at every 20 ms), *resident* adds the pages of
mapped files: a curriculum reads each prompt once, to know it again, and the kernel keeps these pages until it
needs the room. Models have random weights (bench_models.py). Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

PLAIN = "plain TRL"
FIELDS = ("RssAnon", "VmRSS")


class Watch(threading.Thread):
    """The most megabytes of its own, and resident ones, that this process held while it ran."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.own = self.resident = 0.0

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            own, resident = (int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6 for name in FIELDS)
            self.own, self.resident = max(self.own, own), max(self.resident, resident)
            time.sleep(0.02)


def train(kind: str, model: str, data: str, steps: int) -> dict[str, float]:
    """Peak megabytes of this process over a few steps."""
    watch = Watch()
    watch.start()
    from bench_models import coin
    from datasets import load_from_disk
    from transformers import PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    from rlkit import CurriculumGRPOTrainer

    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            folder,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=8,
            max_steps=steps,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            model_init_kwargs={"dtype": "float32"},
        )
        trainer = (GRPOTrainer if kind == PLAIN else CurriculumGRPOTrainer)(
            model,
            reward_funcs=coin,
            args=args,
            train_dataset=load_from_disk(data),
            processing_class=PreTrainedTokenizerFast.from_pretrained(model),
            **({} if kind == PLAIN else {"curriculum": kind}),
        )
        trainer.train()
    return {"own": watch.own, "resident": watch.resident}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="0.5B", help="tiny, 13M, 0.5B or 1.5B")
    parser.add_argument("--prompts", type=int, default=1_000_000)
    parser.add_argument("--curricula", default="uniform,pcl,rlkit")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(train(*arguments.one, arguments.steps)))
        return
    from bench_models import make_prompts, save_model
    from datasets import Dataset

    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model, data = str(save_model(arguments.size, Path(folder) / "model")), str(Path(folder) / "data")
        Dataset.from_list(make_prompts(arguments.prompts)).save_to_disk(data)
        for kind in (PLAIN, *arguments.curricula.split(",")):
            command = [sys.executable, __file__, "--steps", str(arguments.steps), "--one", kind, model, data]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{kind}: {done.stderr[-2000:]}")
            found[kind] = json.loads(done.stdout.splitlines()[-1])
            numbers = [
                f"{name} {mb:.0f} MB ({mb / found[PLAIN][name] - 1:+.1%})" for name, mb in found[kind].items()
            ]
            print(f"{kind}: {', '.join(numbers)}", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({**vars(arguments), "json": None, "megabytes": found}) + "\n")


if __name__ == "__main__":
    main()
