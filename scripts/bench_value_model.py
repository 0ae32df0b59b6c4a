"""How well the value model predicts success rates of prompts it has never seen, from what their rows say.

    python scripts/bench_value_model.py --train measured.parquet              a split of it for each seed
    python scripts/bench_value_model.py --train a.parquet --test b.parquet --features text,answer

The files (Parquet, or JSON lines) have `question` (or `prompt`) and `pass_rate`, the measured success rate;
rollouts are flips of a coin with that rate. The value model sees N prompts once, in rounds, as in training.
Against it: ridge regression on TF-IDF fitted to the same N at once, with the penalty that is best on the
test set, and the mean of real rollouts. Then the same while the policy gets better during the stream; how a
prediction joins the outcomes of a prompt that is met again; and the seconds. One thread.

Explained variance is 1 - Var(rate - prediction) / Var(rate), Brier the expected square of one more rollout
less the prediction, rollout-equivalents E[p(1 - p)] / MSE: as good as the mean of so many rollouts. Under
drift `accuracy` is 1 - MSE / Var(rate), which counts a wrong level too.
"""

import argparse
import json
import os
import re
import time
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from rlkit.curriculum.calibration import spearman
from rlkit.curriculum.estimators.features.text import prompt_text
from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.keys import prompt_keys, unique_prompts
from rlkit.prompts.pool import PromptPool, make_pool
from rlkit.types import Groups

TOKEN = re.compile(r"\\?[a-z]+|\d+|[^\sa-z\d]")
PENALTIES = (1.0, 2.0, 4.0, 8.0)
REFIT, WINDOW = 1000, 4000
TOPICS = (  # the first that matches; with how much of the drift it has
    (r"triangle|circle|angle|square|polygon|sphere|radius", 0.0),
    (r"probabilit|random|dice|coin|choose|ways|arrange", 0.7),
    (r"function|polynomial|root|f\(x\)|equation", 1.5),
    (r"integer|divis|prime|remainder|digit", 0.5),
    (r"", 1.0),
)


def read(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {
            **{name: value for name, value in row.items() if name != "question"},
            "prompt": row["prompt"] if "prompt" in row else row["question"],
            "pass_rate": float(row["pass_rate"]),
        }
        for row in rows
    ]


def load(train: Path, test: Path | None) -> tuple[PromptPool, np.ndarray, int | None]:
    """A pool of both files without duplicates, its rates, and where the test file begins in it."""
    rows = read(train)
    num_train = len(rows)
    rows += read(test) if test else []
    kept = unique_prompts(prompt_keys(rows))
    start = int((kept < num_train).sum()) if test else None
    rate = np.array([rows[position]["pass_rate"] for position in kept])
    # What is to be predicted is not for the features to see.
    seen = [
        {name: value for name, value in rows[position].items() if name != "pass_rate"} for position in kept
    ]
    return make_pool(seen), rate, start


def split(num: int, start: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if start is not None:
        return rng.permutation(start), np.arange(start, num)
    order = rng.permutation(num)
    num_test = round(0.15 * num)
    return order[num_test:], order[:num_test]


class Ridge:
    """Ridge regression on TF-IDF of one and two tokens (log counts, terms of two prompts or more)."""

    def __init__(self, texts: list[str]):
        terms: dict[str, int] = {}
        self.rows = []
        for text in texts:
            tokens = TOKEN.findall(text.lower())
            both = (*tokens, *(f"{a} {b}" for a, b in pairwise(tokens)))
            ids = [terms.setdefault(term, len(terms)) for term in both]
            term_U, count_U = np.unique(np.array(ids, dtype=np.int64), return_counts=True)
            self.rows.append((term_U, 1 + np.log(count_U)))
        self.num_terms = len(terms)

    def predict(self, index_P, value_P, test_N, penalties=PENALTIES) -> list[np.ndarray]:
        """Predictions for `test_N` after a fit to `index_P`, one array a penalty."""
        seen = np.bincount(np.concatenate([self.rows[i][0] for i in index_P]), minlength=self.num_terms)
        rarity = np.where(seen > 1, np.log((1 + len(index_P)) / (1 + seen)) + 1, 0.0)
        train, test = self._matrix(index_P, rarity), self._matrix(test_N, rarity)
        center = value_P.mean()
        weights = [self._solve(train, value_P - center, penalty) for penalty in penalties]
        return [np.clip(center + _rows_times(test, weight, len(test_N)), 0, 1) for weight in weights]

    def _matrix(self, index, rarity):
        row = np.repeat(np.arange(len(index)), [len(self.rows[i][0]) for i in index])
        term = np.concatenate([self.rows[i][0] for i in index])
        value = np.concatenate([self.rows[i][1] for i in index]) * rarity[term]
        row, term, value = row[value > 0], term[value > 0], value[value > 0]
        length = np.sqrt(np.bincount(row, value**2, minlength=len(index)))
        return row, term, value / length[row]

    def _solve(self, matrix, target, penalty):
        """Weights, by conjugate gradients in the dual to a relative residual of 1e-3."""
        row, term, value = matrix
        dual, left = np.zeros(len(target)), target.copy()
        direction, size = left, left @ left
        limit = 1e-6 * size
        while size > limit:
            weight = np.bincount(term, direction[row] * value, minlength=self.num_terms)
            image = _rows_times(matrix, weight, len(target)) + penalty * direction
            length = size / (direction @ image)
            dual, left = dual + length * direction, left - length * image
            size, before = left @ left, size
            direction = left + size / before * direction
        return np.bincount(term, dual[row] * value, minlength=self.num_terms)


def _rows_times(matrix, weight, num):
    row, term, value = matrix
    return np.bincount(row, value * weight[term], minlength=num)


def scores(rate_N: np.ndarray, mean_N: np.ndarray) -> dict[str, float]:
    noise_N, error = rate_N * (1 - rate_N), np.mean((rate_N - mean_N) ** 2)
    return {
        "explained_variance": float(1 - np.var(rate_N - mean_N) / np.var(rate_N)),
        "spearman": spearman(mean_N, rate_N) or 0.0,
        "brier": float(error + noise_N.mean()),
        "rollout_equivalents": float(noise_N.mean() / error),
        "accuracy": float(1 - error / np.var(rate_N)),
    }


def mean_scores(runs: list[dict]) -> dict:
    """The mean over seeds of every number in nested dicts."""
    first = runs[0]
    return {
        name: mean_scores([run[name] for run in runs])
        if isinstance(first[name], dict)
        else float(np.mean([run[name] for run in runs]))
        for name in first
    }


class Student:
    """A value model that meets prompts in rounds, as a run would feed it."""

    def __init__(self, pool: PromptPool, seed: int, features: str):
        self.model = ValueModel(features=features, seed=seed)
        self.model.bind(
            pool, SimulatedHost(SimulationConfig(num_prompts=1))
        )  # whose features it never asks for

    def meet(self, index_P: np.ndarray, wins_P: np.ndarray, num_rollouts: int) -> None:
        signal_PG = (np.arange(num_rollouts) < wins_P[:, None]).astype(float)
        length_PG = np.ones(signal_PG.shape, dtype=int)
        prediction = self.model.predict(index_P)
        self.model.observe(Groups(index_P, signal_PG, signal_PG, length_PG), prediction)


def unseen(pool, rate, ridge, train, test, sizes, arguments, seed) -> dict:
    """Scores after N prompts, of the value model, of the ridge and of real rollouts."""
    rng = np.random.default_rng((seed, 1))
    wins = rng.binomial(arguments.rollouts, rate)
    student, found, seen = (
        Student(pool, seed, arguments.features),
        {"model": {}, "ridge": {}, "rollouts": {}},
        0,
    )
    for size in sizes:
        while seen < size:
            index = train[seen : min(seen + arguments.batch, size)]
            student.meet(index, wins[index], arguments.rollouts)
            seen += len(index)
        found["model"][str(size)] = scores(rate[test], student.model.predict(test).mean_N)
        index = train[:size]
        fits = ridge.predict(index, wins[index] / arguments.rollouts, test)
        found["ridge"][str(size)] = max(
            (scores(rate[test], fit) for fit in fits), key=lambda score: score["explained_variance"]
        )
    for num in (1, 2, 3, 8):
        found["rollouts"][str(num)] = scores(rate[test], rng.binomial(num, rate[test]) / num)
    found["revisits"] = revisits(student.model, rate, test, rng)
    return found


def revisits(model: ValueModel, rate: np.ndarray, test: np.ndarray, rng: np.random.Generator) -> dict:
    """Explained variance of a Beta posterior after visits of one rollout, from the prediction or from 1/2.

    The prior's strength is that of a Beta distribution with the model's stated error.
    """
    prediction = model.predict(test)
    mean, error = prediction.mean_N, prediction.error_N
    spread = np.mean(mean * (1 - mean))
    strength = np.maximum(spread / error**2 - 1, 0.1)
    flips = rng.random((len(test), 16)) < rate[test, None]
    found = {}
    for num in (0, 1, 2, 3, 4, 8, 16):
        wins = flips[:, :num].sum(axis=1)
        found[str(num)] = {
            "value_model": scores(rate[test], (strength * mean + wins) / (strength + num))[
                "explained_variance"
            ],
            "flat": scores(rate[test], (1 + wins) / (2 + num))["explained_variance"],
        }
    return found


def drifting(pool, rate, topic_rate, ridge, train, test, shift, arguments, seed) -> dict:
    """Mean accuracy on unseen prompts at the policy of the time, from the second refit of the ridge on."""
    rng = np.random.default_rng((seed, 2))
    train = train[: arguments.drift_groups]
    logit = np.log(np.clip(rate, 0.004, 0.996) / (1 - np.clip(rate, 0.004, 0.996)))

    def rate_at(index, seen):
        return 1 / (1 + np.exp(-logit[index] - shift * topic_rate[index] * seen / len(train)))

    student, seen_value = Student(pool, seed, arguments.features), np.empty(0)
    check = max(min(REFIT, len(train) // 4) // 2, 1)
    refit, fits = 2 * check, None
    accuracy: dict[str, list[float]] = {"model": [], "ridge": [], f"ridge_last_{WINDOW}": []}
    while len(seen_value) < len(train):
        seen = len(seen_value)
        end = min(seen + arguments.batch, len(train), (seen // check + 1) * check)
        index = train[seen:end]
        wins = rng.binomial(arguments.rollouts, rate_at(index, seen))
        student.meet(index, wins, arguments.rollouts)
        seen_value = np.concatenate([seen_value, wins / arguments.rollouts])
        if end % refit == 0:
            fits = [
                ridge.predict(train[first:end], seen_value[first:], test, (2.0,))[0]
                for first in (0, max(end - WINDOW, 0))
            ]
        if fits and end % check == 0 and end >= 2 * refit:
            truth = rate_at(test, end)
            for name, mean in zip(accuracy, [student.model.predict(test).mean_N, *fits], strict=True):
                accuracy[name].append(scores(truth, mean)["accuracy"])
    return {name: float(np.mean(values)) for name, values in accuracy.items()}


def seconds(
    pool: PromptPool, train: np.ndarray, test: np.ndarray, rate: np.ndarray, arguments
) -> dict[str, float]:
    """Microseconds a prompt to predict 8192 prompts, features included, and milliseconds of a round of 64."""
    student = Student(pool, 0, arguments.features)
    # Nothing is kept of a prompt between predictions, so a small file may be repeated.
    ask = np.resize(np.concatenate([test, train]), 8192)
    taught, asked = [], []
    for start in range(0, min(len(train), 4096), 64):
        index = train[start : start + 64]
        began = time.perf_counter()
        student.meet(index, np.round(8 * rate[index]), 8)
        taught.append(time.perf_counter() - began)
    for _ in range(7):
        began = time.perf_counter()
        student.model.predict(ask)
        asked.append(time.perf_counter() - began)
    return {
        "predict_us_per_prompt": 1e6 * float(np.median(asked)) / len(ask),
        "observe_ms_per_round": 1e3 * float(np.median(taught[-16:])),
    }


def show(found: dict) -> None:
    names = ("explained_variance", "spearman", "brier", "rollout_equivalents")
    print(f"| {'':14} | {' | '.join(names)} |")
    for method in ("model", "ridge", "rollouts"):
        for size, score in found[method].items():
            print(f"| {method + ' ' + size:14} | {' | '.join(f'{score[name]:.3f}' for name in names)} |")
    for title in ("drift", "revisits"):
        for label, score in found[title].items():
            print(f"{title} {label}: {', '.join(f'{name} {value:.3f}' for name, value in score.items())}")
    print(f"{found['predict_us_per_prompt']:.1f} us a prompt, {found['observe_ms_per_round']:.0f} ms a round")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--features", default="text", help="what the value model sees: text,answer,columns")
    parser.add_argument(
        "--sizes", default="500,2000,8000,20000", help="prompts seen; larger than the file: all"
    )
    parser.add_argument("--seeds", default="100,101,102", help="of the split, the order and the rollouts")
    parser.add_argument("--rollouts", type=int, default=8, help="of each prompt seen")
    parser.add_argument("--batch", type=int, default=64, help="prompts a round")
    parser.add_argument("--shifts", default="0,2,5", help="logits that the policy gains during the drift")
    parser.add_argument("--drift-groups", type=int, default=16_000)
    arguments = parser.parse_args()

    pool, rate, start = load(arguments.train, arguments.test)
    texts = [prompt_text(row["prompt"]) for row in pool.rows]
    topics = [next(share for pattern, share in TOPICS if re.search(pattern, text.lower())) for text in texts]
    ridge, runs = Ridge(texts), []
    for seed in map(int, arguments.seeds.split(",")):
        train, test = split(len(pool), start, seed)
        sizes = sorted({min(int(size), len(train)) for size in arguments.sizes.split(",")})
        found = unseen(pool, rate, ridge, train, test, sizes, arguments, seed)
        found["drift"] = {
            shift: drifting(pool, rate, np.array(topics), ridge, train, test, float(shift), arguments, seed)
            for shift in arguments.shifts.split(",")
        }
        runs.append(found | seconds(pool, train, test, rate, arguments))
    found = mean_scores(runs)
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
