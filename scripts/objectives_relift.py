r"""Does ReLIFT learn a level that GRPO never does? A form of the task that the policy has never seen.

One prompt in four has its signs exchanged ("35000000=82000000+", answer as ever): the warm start solves none
of them, so GRPO has no gradient there. Half of them have a demonstration (13% of all prompts).

Each arm has its own best learning rate: three on one warm start, the better two on a second, by the success
on held-out prompts of the same mixture; five other starts count. What is measured stays in the folder, so
that a stopped call goes on.

    PYTHONPATH=. python scripts/objectives_relift.py --folder runs/objectives
"""

import argparse
from pathlib import Path

from objectives_runs import compare, exact_success, kept, make_problems, make_tokenizer, started, train

from rlkit.objectives import ObjectivesConfig

EASY = (0, 1, 1, 1, 0, 0, 0, 0)
ARMS = {"none": ObjectivesConfig(), "relift": ObjectivesConfig("relift", relift_pairs=1)}
TUNED, STARTS = (10, 11), (1, 2, 3, 4, 5)
RATES = (1e-4, 3e-4, 1e-3)


def other_form(row: dict) -> dict:
    """The same problem asked with the signs exchanged, with its answer as demonstration."""
    swapped = row["prompt"].translate(str.maketrans("+=", "=+"))
    return {**row, "prompt": swapped}


def run(folder: Path, seed: int, arm: str, rate: float, steps: int) -> dict[str, float]:
    problems = make_problems(512, EASY, seed=seed)
    pool = [other_form(row) if i % 4 == 0 else row for i, row in enumerate(problems)]
    pool = [{**row, "demonstration": row["answer"] if i % 8 == 0 else None} for i, row in enumerate(pool)]
    trainer = train(started(folder, seed), pool, seed, ARMS[arm], max_steps=steps, learning_rate=rate)
    held = make_problems(256, EASY, seed=1, split="heldout")
    unseen, known = (
        float(exact_success(trainer.model.eval(), make_tokenizer(), part).mean())
        for part in ([other_form(row) for row in held], held)
    )
    own = [objective.metrics()["steps_total"] for objective in trainer.objectives.all]
    mixture = 0.25 * unseen + 0.75 * known
    return {"unseen": unseen, "known": known, "mixture": mixture, "own steps": sum(own)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    folder, steps = options.folder, options.steps

    def measured(seed: int, arm: str, rate: float) -> dict[str, float]:
        path = folder / f"relift-{steps}-{seed}-{arm}-{rate}.json"
        found = kept(path, lambda: run(folder, seed, arm, rate, steps))
        print(seed, arm, rate, found, flush=True)
        return found

    def better(arm: str, rates: list[float], seeds: tuple[int, ...]) -> list[float]:
        """The rates, the best first."""
        return sorted(rates, key=lambda rate: -sum(measured(seed, arm, rate)["mixture"] for seed in seeds))

    best = {arm: better(arm, better(arm, list(RATES), TUNED[:1])[:2], TUNED)[0] for arm in ARMS}
    print("learning rates", best, flush=True)
    compare({arm: [measured(seed, arm, best[arm]) for seed in STARTS] for arm in ARMS}, "none")


if __name__ == "__main__":
    main()
