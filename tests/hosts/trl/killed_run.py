"""A run that kills itself, for test_resume.py: killed_run.py FOLDER grading|saving."""

import os
import signal
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from tiny_trl import even_start, make_trainer

from rlkit import CurriculumGRPOTrainer


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class KilledWhileSaving(CurriculumGRPOTrainer):
    def _save_optimizer_and_scheduler(self, output_dir):
        if self.state.global_step == 4:
            kill()
        super()._save_optimizer_and_scheduler(output_dir)


def main(folder, place):
    torch.set_num_threads(1)

    def reward(completions, trainer_state, **columns):
        if place == "grading" and trainer_state.global_step == 4:
            kill()
        return even_start(completions)

    reward.__name__ = "even_start"
    kind = KilledWhileSaving if place == "saving" else CurriculumGRPOTrainer
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    make_trainer(folder, "pcl", reward, kind=kind, **settings).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
