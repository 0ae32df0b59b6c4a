r"""Does the mask of clip_b keep entropy at equal reward? At a learning rate at which entropy falls.

PYTHONPATH=. python scripts/objectives_clip.py --folder runs/objectives --seeds 5 --steps 60
"""

import argparse
from pathlib import Path

from objectives_runs import compare, logged, make_problems, started, train

from rlkit.objectives import ObjectivesConfig

ARMS = {"none": ObjectivesConfig(), "clip_b": ObjectivesConfig("clip_b")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm_start_seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    options = parser.parse_args()
    rows: dict[str, list] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        pool = make_problems(1024, (0, 0, 0, 1, 1, 1, 1, 1), seed=seed)
        for arm, config in ARMS.items():
            model = started(options.folder, options.warm_start_seed)
            trainer = train(
                model,
                pool,
                seed,
                config,
                max_steps=options.steps,
                learning_rate=options.learning_rate,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=10,
            )
            rows[arm].append(
                {
                    "entropy": logged(trainer, "entropy", last=20),
                    "reward": logged(trainer, "reward", last=20),
                    "step_time": logged(trainer, "step_time"),
                }
            )
            print(seed, arm, rows[arm][-1], flush=True)
    compare(rows, "none")


if __name__ == "__main__":
    main()
