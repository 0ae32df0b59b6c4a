"""What taking commands costs a run: seconds of the boundary before each step, of the step's.

    python scripts/bench_steering.py        the demo's model, 0.16M parameters: off, on, a change a step

The boundary is the whole of `Steering.on_step_begin`, timed by the processor's time of this process, so that
other jobs do not count, and by the clock.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from bench_overhead import make_model
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.hosts.trl.steering import Steering
from rlkit.live.command import new_command
from rlkit.live.files import request

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
from addition import MAX_COMPLETION_LENGTH, make_problems, make_tokenizer
from tiny_policy import reward

WARM_UP = 3


class Timed(Steering):
    """Times the boundary."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.processor, self.clock = [], []

    def on_step_begin(self, *args, **kwargs):
        processor, clock = time.process_time(), time.perf_counter()
        super().on_step_begin(*args, **kwargs)
        self.processor.append(time.process_time() - processor)
        self.clock.append(time.perf_counter() - clock)


class Asking(TrainerCallback):
    """Asks for a change after every step."""

    def __init__(self, folder):
        self.folder = folder

    def on_step_end(self, args, state, control, **kwargs):
        value = {"headroom": 1 + state.global_step % 2, "learning_rate": 1e-4 * (1 + state.global_step % 2)}
        request(self.folder, new_command("set", value, "bench", time.time()))


class Processor(TrainerCallback):
    """Processor's seconds of each step."""

    def __init__(self):
        self.seconds = []

    def on_step_begin(self, *args, **kwargs):
        self.start = time.process_time()

    def on_step_end(self, *args, **kwargs):
        self.seconds.append(time.process_time() - self.start)


def measure(live: bool, asks: bool, num_steps: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        args = GRPOConfig(
            output_dir=name,
            per_device_train_batch_size=64,
            num_generations=8,
            max_completion_length=MAX_COMPLETION_LENGTH,
            max_steps=num_steps,
            save_strategy="no",
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
        )
        trainer = CurriculumGRPOTrainer(
            make_model(64, 3),
            reward,
            args,
            Dataset.from_list(make_problems(1024)),
            processing_class=make_tokenizer(),
            curriculum=CurriculumConfig("rlkit", live=live),
        )
        timed, steps = Timed(trainer), Processor()
        trainer.callback_handler.callbacks[trainer.callback_handler.callbacks.index(trainer.steering)] = timed
        trainer.steering = timed
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(steps)
        if asks:
            trainer.add_callback(Asking(folder))
        trainer.train()
        step = np.median(steps.seconds[WARM_UP:])
        boundary = np.median(timed.processor[WARM_UP:])
        return {
            "step_ms": 1e3 * float(step),
            "boundary_ms": 1e3 * float(boundary),
            "boundary_clock_ms": 1e3 * float(np.median(timed.clock[WARM_UP:])),
            "share": float(boundary / step),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for live, asks in ((False, False), (True, False), (True, True)):
        numbers = measure(live, asks, arguments.steps)
        print(json.dumps({"live": live, "a command a step": asks, **numbers}))


if __name__ == "__main__":
    main()
