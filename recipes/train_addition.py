"""One run of the demo: GRPO on reversed addition from a warm start, under a curriculum.

    python recipes/train_addition.py --config recipes/configs/addition.yaml --curriculum pcl \
        --warm_start runs/demo/warm_start-0 --output_dir runs/demo/pcl

What can be set, and how a run goes on: warm_started.py.
"""

import os

from rlkit.settings import program

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
program.begin()

from addition import make_problems, warm_start
from warm_started import train

if __name__ == "__main__":
    train(make_problems, warm_start, "runs/warm_start")
