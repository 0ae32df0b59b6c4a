"""Does AMFT turn useless demonstrations down, and keep useful ones up? Reversed addition, a warm start.

Demonstrations are right answers, or answers with every digit one too high; the validation rows are right ones
in both arms. The check by the reward is left out for the wrong ones: in a run it would refuse them.

    PYTHONPATH=. python scripts/objectives_amft.py --folder runs/objectives --seeds 5 --steps 60
"""

import argparse
from pathlib import Path

from objectives_runs import compare, exact_success, make_problems, make_tokenizer, started, train

from rlkit.objectives.amft import AMFT


class Unchecked(AMFT):
    """Takes all demonstrations."""

    def check(self, pool, grade):
        super().check(pool, lambda completions, rows: [1.0] * len(rows))


def wrong(answer: str) -> str:
    return answer.translate(str.maketrans("0123456789", "1234567890"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    rows: dict[str, list] = {"useless": [], "useful": []}
    held = make_problems(256, seed=1, split="heldout")
    validation = [{**row, "demonstration": row["answer"]} for row in held[:64]]
    for seed in range(options.seeds):
        for arm in rows:
            change = wrong if arm == "useless" else str
            pool = [{**row, "demonstration": change(row["answer"])} for row in make_problems(512, seed=seed)]
            objective = Unchecked(validation, every=5, warmup=10)
            trainer = train(started(options.folder, 0), pool, seed, [objective], max_steps=options.steps)
            accuracy = float(exact_success(trainer.model.eval(), make_tokenizer(), held[64:]).mean())
            rows[arm].append({"mu": objective.metrics()["mu"], "accuracy": accuracy})
            print(seed, arm, rows[arm][-1], flush=True)
    compare(rows, "useless")


if __name__ == "__main__":
    main()
