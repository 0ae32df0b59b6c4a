r"""Does ReLIFT learn a level that GRPO never does? A form of the task that the policy has never seen.

One prompt in four has its signs exchanged ("35000000=82000000+", answer as ever): the warm start solves none
of them, so GRPO has no gradient there. Half of them have a demonstration (13% of all prompts).

    PYTHONPATH=. python scripts/objectives_relift.py --folder runs/objectives --seeds 5 --steps 60
"""

import argparse
from pathlib import Path

from objectives_runs import compare, exact_success, make_problems, make_tokenizer, started, train

from rlkit.objectives import ObjectivesConfig

EASY = (0, 1, 1, 1, 0, 0, 0, 0)


def other_form(row: dict) -> dict:
    """The same problem asked with the signs exchanged, with its answer as demonstration."""
    swapped = row["prompt"].translate(str.maketrans("+=", "=+"))
    return {**row, "prompt": swapped}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm_start_seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    options = parser.parse_args()
    arms = {
        "none": ObjectivesConfig(),
        "relift": ObjectivesConfig("relift", relift_pairs=options.pairs),
    }
    rows: dict[str, list] = {arm: [] for arm in arms}
    held = make_problems(256, EASY, seed=1, split="heldout")
    held_out = {"other form": [other_form(row) for row in held], "known form": held}
    for seed in range(options.seeds):
        problems = make_problems(512, EASY, seed=seed)
        pool = [other_form(row) if i % 4 == 0 else row for i, row in enumerate(problems)]
        pool = [{**row, "demonstration": row["answer"] if i % 8 == 0 else None} for i, row in enumerate(pool)]
        before = started(options.folder, options.warm_start_seed)
        start = {
            name: float(exact_success(before, make_tokenizer(), part).mean())
            for name, part in held_out.items()
        }
        print(seed, "start", start, flush=True)
        for arm, config in arms.items():
            trainer = train(
                started(options.folder, options.warm_start_seed),
                pool,
                seed,
                config,
                max_steps=options.steps,
                learning_rate=options.learning_rate,
            )
            model = trainer.model.eval()
            found = {
                name: float(exact_success(model, make_tokenizer(), part).mean())
                for name, part in held_out.items()
            }
            steps = {
                "own steps": trainer.objectives.all[0].metrics()["steps_total"]
                if trainer.objectives.all
                else 0.0
            }
            rows[arm].append({**found, **steps})
            print(seed, arm, rows[arm][-1], flush=True)
    compare(rows, "none")


if __name__ == "__main__":
    main()
