r"""What each objective costs: seconds of processor a step of 64 completions, and the ratio to none with a 95%
interval over rounds.

A step goes from the begin of one to the begin of the next; the arms of a round run one after the other, each
second round in the opposite order. amft's controller has one turn in the 20 steps that count, its default, or
one each. `judgements` learns from a lesson a prompt, as long as the prompt and its answer.
What is measured stays in the folder, so that a stopped call goes on.

    PYTHONPATH=. python scripts/objectives_overhead.py --folder runs/objectives
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from objectives_runs import interval, kept, make_problems, started, train
from transformers import TrainerCallback

from rlkit.objectives import ObjectivesConfig
from rlkit.objectives.amft import AMFT
from rlkit.objectives.judgements import Judgements

WARM_UP, STEPS = 3, 20


class Taught(Judgements):
    """Has a lesson a prompt."""

    def collected(self, collected: Any) -> None:
        rows = collected.rows_of(np.arange(len(collected.groups)))
        examples = self.learner.encode(rows, [row["answer"] for row in rows])
        self._lessons = [(example, 1e-6) for example in examples]


class Clock(TrainerCallback):
    """Processor seconds at the begin of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.times.append(time.process_time())

    def seconds(self) -> float:
        return (self.times[-1] - self.times[WARM_UP]) / STEPS


def arms(held: list[dict]) -> dict[str, Any]:
    return {
        "none": ObjectivesConfig(balance_lengths=False),
        "balanced": ObjectivesConfig(),
        "clip_b": ObjectivesConfig("clip_b"),
        "clip_v": ObjectivesConfig("clip_v"),
        "relift": ObjectivesConfig("relift", relift_pairs=1),
        "rmt": ObjectivesConfig("rmt"),
        "amft": [AMFT(held, every=STEPS, warmup=0)],
        "amft, each": [AMFT(held, every=1, warmup=0)],
        "judgements": [Taught()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()

    def shown(rows: list[dict]) -> list[dict]:
        return [{**row, "demonstration": row["answer"], "reference": row["answer"] * 2} for row in rows]

    pool = shown(make_problems(512, (0, 0, 0, 0, 0, 1, 1, 1), seed=0))
    held = shown(make_problems(64, seed=1, split="heldout"))

    def one_round(turn: int) -> dict[str, float]:
        taken = {}
        for arm, objectives in list(arms(held).items())[:: -1 if turn % 2 else 1]:
            clock = Clock()
            settings = {"callbacks": [clock], "max_steps": WARM_UP + STEPS + 1}
            train(started(options.folder, 0), pool, 0, objectives, **settings)
            taken[arm] = clock.seconds()
        return taken

    rounds = []
    for turn in range(options.rounds):
        rounds.append(kept(options.folder / f"overhead-{turn}.json", partial(one_round, turn)))
        print(turn, {arm: round(seconds, 4) for arm, seconds in rounds[-1].items()}, flush=True)
    for arm in rounds[0]:
        ratios = [taken[arm] / taken["none"] for taken in rounds]
        middle = statistics.median(taken[arm] for taken in rounds)
        print(f"{arm:>12} {middle:.4f} s a step, ratio {interval(ratios)}", flush=True)


if __name__ == "__main__":
    main()
