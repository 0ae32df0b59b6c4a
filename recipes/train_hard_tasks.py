"""As train_many_tasks.py, on the largest level of each of the twelve tasks alone: most of it is never solved.

    python recipes/train_hard_tasks.py --config recipes/configs/hard_tasks.yaml --curriculum uniform \
        --hints adaback --output_dir runs/hard_tasks/hints

What can be set, and how a run goes on: warm_started.py.
"""

import os
from functools import partial

from rlkit.settings import program

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
program.begin()

from many_tasks import LEVELS, make_problems, warm_start
from warm_started import train

if __name__ == "__main__":
    train(partial(make_problems, levels=LEVELS[-1:]), warm_start, "runs/many_tasks_start")
