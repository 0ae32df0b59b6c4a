"""How well the value model predicts a real policy's success, as `record_policy.py` recorded it; in seconds.

    python scripts/bench_recording.py DIR --features text,likelihood
    python scripts/bench_recording.py DIR --features states --labels before,after10,after20

A model meets three quarters of the prompts once, in rounds, as the first label's policy answered them, and is
asked about the rest, and about all as they come out for the last label's: by what the policy of the time
shows of them ("after unseen", "after seen"), and by what the first one showed ("by before"). Age alone is in
"taught and shown by LABEL": a model that meets the last label's outcomes, by what an older policy showed.

The scores are those of `Recording.scores`; `ms` is the processor's, a prompt met, without the forward.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from recording import Present, Recording

from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.types import Groups


class Student:
    """A value model that met prompts in rounds."""

    def __init__(self, shown: Recording, answers: Recording, train: np.ndarray, arguments, seed: int):
        self.pool, self.present = shown.pool(), Present(shown)
        self.model = ValueModel(features=arguments.features, layer=arguments.layer, seed=seed)
        self.model.bind(self.pool, self.present)
        began = time.process_time()
        for step, start in enumerate(range(0, len(train), arguments.batch)):
            index = train[start : start + arguments.batch]
            signal_PG = answers.right_NG[index].astype(float)
            groups = Groups(index, signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))
            prediction = self.model.predict(index)
            self.pool.observe(index, step)
            self.model.observe(groups, prediction)
        self.ms = 1e3 * (time.process_time() - began) / len(train)

    def predict(self, shown: Recording, index_N: np.ndarray) -> np.ndarray:
        self.present.policy = shown
        self.pool.step += 1  # readings of the step before are gone
        return self.model.predict(index_N).mean_N


def found_by(policies: dict[str, Recording], arguments, seed: int) -> dict[str, dict[str, float]]:
    """Scores by title."""
    labels = list(policies)
    first, last = policies[labels[0]], policies[labels[-1]]
    order = np.random.default_rng(seed).permutation(len(first))
    test, train = order[: len(order) // 4], order[len(order) // 4 :]
    student = Student(first, first, train, arguments, seed)
    found = {f"{labels[0]} unseen": first.scores(test, student.predict(first, test)) | {"ms": student.ms}}
    if last is first:
        return found
    test, train = test[test < len(last)], train[train < len(last)]
    for kind, index in {"unseen": test, "seen": train}.items():
        found[f"after {kind}"] = last.scores(index, student.predict(last, index))
        found[f"after {kind} by {labels[0]}"] = last.scores(index, student.predict(first, index))
    for label, shown in policies.items():
        student = Student(shown, last, train, arguments, seed)
        found[f"taught and shown by {label}"] = last.scores(test, student.predict(shown, test))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--labels", default="before", help="in the order of training; all show, two answered")
    parser.add_argument("--features", default="text", help="what the value model sees")
    parser.add_argument("--layer", type=float, default=0.5, help="of the states, as a share of the depth")
    parser.add_argument("--batch", type=int, default=32, help="prompts a round")
    parser.add_argument("--seeds", default="0,1,2", help="of the split and the order")
    arguments = parser.parse_args()

    policies = {label: Recording(arguments.recording, label) for label in arguments.labels.split(",")}
    runs = [found_by(policies, arguments, int(seed)) for seed in arguments.seeds.split(",")]
    for title, scores in runs[0].items():
        means = {name: np.mean([run[title][name] for run in runs]) for name in scores}
        print(f"{title}: {', '.join(f'{name} {value:.3f}' for name, value in means.items())}")


if __name__ == "__main__":
    main()
