r"""What each objective costs: seconds of processor a step of 64 completions, and the ratio to none.

PYTHONPATH=. python scripts/objectives_overhead.py --folder runs/objectives
"""

import argparse
import time
from pathlib import Path

from objectives_runs import make_problems, started, train

from rlkit.objectives import ObjectivesConfig

ARMS = {
    "none": ObjectivesConfig(),
    "clip_b": ObjectivesConfig("clip_b"),
    "clip_v": ObjectivesConfig("clip_v"),
    "relift": ObjectivesConfig("relift", relift_pairs=1),
}
FEW, MANY = 2, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    pool = make_problems(512, (0, 0, 0, 0, 0, 1, 1, 1), seed=0)
    pool = [{**row, "demonstration": row["answer"]} for row in pool]

    def processor(config: ObjectivesConfig, steps: int) -> float:
        model = started(options.folder, 0)
        before = time.process_time()
        train(model, pool, 0, config, max_steps=steps)
        return time.process_time() - before

    base = None
    for arm, config in ARMS.items():
        seconds = (processor(config, MANY) - processor(config, FEW)) / (MANY - FEW)
        base = base or seconds
        print(f"{arm:>12} {seconds:.3f} s a step, ratio {seconds / base:.2f}", flush=True)


if __name__ == "__main__":
    main()
