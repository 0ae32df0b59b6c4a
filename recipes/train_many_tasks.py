"""One run of GRPO on twelve procedural tasks from a warm start, under a curriculum.

    python recipes/train_many_tasks.py --config recipes/configs/many_tasks.yaml --curriculum rlkit \
        --output_dir runs/many_tasks/rlkit

What can be set, and how a run goes on: warm_started.py.
"""

import os

from rlkit.settings import program

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
program.begin()

from many_tasks import make_problems, warm_start
from warm_started import train

if __name__ == "__main__":
    train(make_problems, warm_start, "runs/many_tasks_start")
