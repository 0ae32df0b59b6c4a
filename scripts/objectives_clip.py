r"""Does the mask of clip_b or clip_v keep entropy at equal reward? At a learning rate at which entropy falls.

A step has at most 640 tokens, of which clip_v's published share, 1e-4, is none: its arms mask more. What is
measured stays in the folder, so that a stopped call goes on.

    PYTHONPATH=. python scripts/objectives_clip.py --folder runs/objectives --mask clip_b --seeds 8
"""

import argparse
from pathlib import Path

from objectives_runs import (
    compare,
    exact_success,
    kept,
    logged,
    make_problems,
    make_tokenizer,
    started,
    train,
)

from rlkit.objectives import ObjectivesConfig

LEVELS = (0, 0, 0, 1, 1, 1, 1, 1)
ARMS = {
    "clip_b": {"none": {}, "clip_b": {}, "clip_b 1": {"clip_b_mu": 1.0}},
    "clip_v": {
        "none": {},
        "clip_v": {"clip_v_share": 0.05},
        "clip_v 1": {"clip_v_mu": 1.0, "clip_v_share": 0.05},
    },
}
"""The published deviations, 2.5 and 8.5, and one that masks more."""


def run(folder: Path, mask: str, arm: str, seed: int, steps: int) -> dict[str, float]:
    names = None if arm == "none" else mask
    trainer = train(
        started(folder, 0),
        make_problems(1024, LEVELS, seed=seed),
        seed,
        ObjectivesConfig(names, **ARMS[mask][arm]),
        max_steps=steps,
        learning_rate=1e-3,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=10,
    )
    held = make_problems(256, LEVELS, seed=1, split="heldout")
    return {
        "entropy": logged(trainer, "entropy", last=20),
        "reward": logged(trainer, "reward", last=20),
        "held out": float(exact_success(trainer.model.eval(), make_tokenizer(), held).mean()),
        "masked": sum(objective.metrics()["masked"] for objective in trainer.objectives.all),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--mask", choices=list(ARMS), required=True)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    rows: dict[str, list] = {arm: [] for arm in ARMS[options.mask]}
    for seed in range(options.seeds):
        for arm in rows:
            path = options.folder / f"clip-{options.steps}-{seed}-{arm}.json"
            given = options.folder, options.mask, arm, seed, options.steps
            rows[arm].append(kept(path, lambda given=given: run(*given)))
            print(seed, arm, rows[arm][-1], flush=True)
    compare(rows, "none")


if __name__ == "__main__":
    main()
