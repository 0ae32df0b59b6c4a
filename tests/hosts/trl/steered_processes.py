"""A run of two processes under torchrun, for test_steering_processes.py: steered_processes.py FOLDER."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from steered import steered
from tiny_trl import by_place, share_of_ones, weights
from transformers import TrainerCallback

from rlkit.settings import program

RANK = int(os.environ.get("RANK", 0))
AFTER = {
    1: ["set learning_rate 3e-3 temperature 0.5", "put_aside category tens 0"],
    2: ["set max_rounds 2 reward_weight.share_of_ones 0.5", "pause", "checkpoint", "go on"],
    4: ["load 2"],
}


class Noting(TrainerCallback):
    """What each step of this process ran with."""

    def __init__(self):
        self.rows = []

    def on_step_end(self, args, state, control, **kwargs):
        trainer = self.trainer
        self.rows.append(
            [
                state.global_step,
                trainer.optimizer.param_groups[0]["lr"],
                trainer.temperature,
                trainer.reward_weights.tolist(),
                trainer.curriculum.sources[0].max_rounds,
                len(trainer.pool.usable.aside),
            ]
        )


def main(folder):
    torch.set_num_threads(1)
    noting = Noting()
    trainer = steered(
        folder,
        AFTER,
        callbacks=[noting],
        rewards=[by_place(rank=RANK), share_of_ones],
        per_device_train_batch_size=8,
        lr_scheduler_type="constant",
    )
    noting.trainer = trainer
    trainer.train()
    total = {name: float(tensor.double().abs().sum()) for name, tensor in weights(trainer).items()}
    (folder / f"rank-{RANK}.json").write_text(json.dumps({"rows": noting.rows, "weights": total}))
    program.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
