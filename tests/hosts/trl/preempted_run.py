"""A run that takes its time, for test_preemption.py, alone or under torchrun: preempted_run.py FOLDER STEPS.

Each process writes its id to FOLDER-RANK.pid before it trains.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from tiny_trl import by_place, make_trainer, scripted

from rlkit.settings import program

RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
SECONDS_A_STEP = 0.2


def main(folder: str, steps: str) -> None:
    torch.set_num_threads(1)
    reward = by_place(rank=RANK)

    def slow(**columns):
        Path(f"{folder}-grading").touch()
        time.sleep(SECONDS_A_STEP)
        return reward(**columns)

    trainer = make_trainer(
        folder,
        "pcl",
        slow,
        max_steps=int(steps),
        per_device_train_batch_size=16 // WORLD,
        extra={"rollout_func": scripted(rank=RANK)},
    )
    Path(f"{folder}-{RANK}.pid").write_text(str(os.getpid()))
    trainer.train(resume_from_checkpoint="auto")
    program.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
