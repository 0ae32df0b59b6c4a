"""A chain of latent steps that GRPO alone never completes, with a table as policy: which hints solve it?

    python scripts/hints_table.py --seeds 5 --steps 400 --lr 80

A prompt is `LENGTH` digits x below `BASE`; its solution is the running sum s_i = s_{i-1} + x_i modulo BASE,
one digit a line, and only the whole of it is right (after AdaBack's parity, arXiv 2506.18110). The policy has
a softmax over the next digit for every place, digit before and x_i, at first uniform: it solves
BASE ** -LENGTH of its tries. Each step is a GRPO update on what was not revealed. `sft` first learns from as
many solutions of the pool as `--sft_steps` steps have completions, at no cost in rollouts. With `--easy 0.5`
half of the prompts are of the last two places only, so that choosing has something to choose.
"""

import argparse
import time

import numpy as np

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import build_curriculum
from rlkit.prompts.pool import make_pool
from rlkit.prompts.solutions import beginning
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Batch, Groups, Proposal

BASE, LENGTH = 5, 8
GROUPS, GENERATIONS = 16, 8
ARMS = {
    "uniform": {},
    "dapo": {"curriculum": "dapo"},
    "rlkit": {"curriculum": "rlkit", "value_features": "text"},
    "uniform+adaback": {"hints": "adaback"},
    "uniform+guided": {"hints": "guided"},
    "uniform+predicted": {"hints": "predicted"},
    "uniform+predicted, price 0.5": {"hints": "predicted", "hint_price": 0.5},
    "uniform+predicted, price 0": {"hints": "predicted", "hint_price": 0.0},
    "rlkit+predicted": {"curriculum": "rlkit", "value_features": "text", "hints": "predicted"},
    "sft": {},
}
LEVEL = 0.5
"""The accuracy whose cost is reported."""


class TablePolicy:
    """Logits (place, digit before, x, next digit), and the host that rolls it out.

    Args:
        digits_NL: the prompts; of an easy one, whose first places are given, they begin with -1.
    """

    def __init__(self, digits_NL: np.ndarray, rng: np.random.Generator, lr: float):
        self.digits_NL, self.rng, self.lr = digits_NL, rng, lr
        self.logits = np.zeros((LENGTH, BASE, BASE, BASE))
        self.sums_NL = np.where(digits_NL < 0, 0, digits_NL).cumsum(axis=1) % BASE
        self._rolled: dict[int, tuple[np.ndarray, int]] = {}

    def rows(self) -> list[dict[str, str]]:
        return [
            {
                "prompt": "".join("?" if digit < 0 else str(digit) for digit in x),
                "solution": "\n".join(str(total) for total, digit in zip(s, x, strict=True) if digit >= 0),
            }
            for x, s in zip(self.digits_NL.tolist(), self.sums_NL.tolist(), strict=True)
        ]

    def probabilities(self, place: int, before: np.ndarray, x: np.ndarray) -> np.ndarray:
        logits = self.logits[place, before, x]
        exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponential / exponential.sum(axis=-1, keepdims=True)

    def whole(self, num: int, count: int) -> int:
        return num

    def agree(self, proposal: Proposal) -> Proposal:
        return proposal

    def rollout(self, proposal: Proposal) -> Groups:
        rows = self.pool.take(proposal.index_P)
        reward_PG = np.zeros((len(rows), GENERATIONS))
        length_PG = np.zeros(reward_PG.shape, dtype=np.int64)
        for group, (index, row, share) in enumerate(
            zip(proposal.index_P, rows, proposal.share_P, strict=True)
        ):
            first = int((self.digits_NL[index] < 0).sum())
            first += beginning(row["solution"], share).count("\n")
            written_GL = np.tile(self.sums_NL[index], (GENERATIONS, 1))
            for place in range(first, LENGTH):
                before = written_GL[:, place - 1] if place else np.zeros(GENERATIONS, dtype=int)
                p = self.probabilities(place, before, np.full(GENERATIONS, self.digits_NL[index, place]))
                written_GL[:, place] = (p.cumsum(axis=1) < self.rng.random((GENERATIONS, 1))).sum(axis=1)
            reward_PG[group] = (written_GL == self.sums_NL[index]).all(axis=1)
            length_PG[group] = LENGTH - first
            self._rolled[int(index)] = written_GL, first
        return Groups(proposal.index_P, reward_PG, reward_PG, length_PG, share_P=proposal.share_P)

    def learn(self, batch: Batch) -> None:
        """A step along the policy gradient of the trained groups, a mean over completions."""
        gradient = np.zeros_like(self.logits)
        for position in batch.chosen_B:
            index, reward_G = int(batch.groups.index_P[position]), batch.groups.reward_PG[position]
            written_GL, first = self._rolled[index]
            advantage_G = (reward_G - reward_G.mean()) / (reward_G.std(ddof=1) + 1e-4)
            self._add(gradient, index, written_GL, first, advantage_G)
        self.logits += self.lr * gradient / (len(batch.chosen_B) * GENERATIONS)

    def imitate(self, num: int) -> None:
        """A step of supervised learning from `num` solutions."""
        gradient = np.zeros_like(self.logits)
        for index in self.rng.integers(len(self.digits_NL), size=num).tolist():
            first = int((self.digits_NL[index] < 0).sum())
            self._add(gradient, index, self.sums_NL[index][None], first, np.ones(1))
        self.logits += self.lr * gradient / num

    def _add(
        self, gradient: np.ndarray, index: int, written_GL: np.ndarray, first: int, weight_G: np.ndarray
    ):
        for place in range(first, LENGTH):
            before = written_GL[:, place - 1] if place else np.zeros(len(written_GL), dtype=int)
            x = np.full(len(written_GL), self.digits_NL[index, place])
            chosen = np.eye(BASE)[written_GL[:, place]] - self.probabilities(place, before, x)
            np.add.at(gradient[place], (before, x), weight_G[:, None] * chosen)

    def accuracy(self, digits_NL: np.ndarray) -> float:
        """Mean probability of whole, unaided solutions, exactly."""
        sums_NL = digits_NL.cumsum(axis=1) % BASE
        log_p = np.zeros(len(digits_NL))
        for place in range(LENGTH):
            before = sums_NL[:, place - 1] if place else np.zeros(len(digits_NL), dtype=int)
            p = self.probabilities(place, before, digits_NL[:, place])
            log_p += np.log(p[np.arange(len(p)), sums_NL[:, place]])
        return float(np.exp(log_p).mean())


def run(arm: str, seed: int, options: argparse.Namespace) -> tuple[float, dict[str, float] | None]:
    """Final accuracy, and steps, rollouts, tokens and seconds to `LEVEL`, None where it is not reached."""
    rng, start = np.random.default_rng(seed), time.perf_counter()
    digits = rng.integers(BASE, size=(options.pool, LENGTH))
    digits[: round(options.easy * options.pool), : LENGTH - 2] = -1
    heldout = rng.integers(BASE, size=(512, LENGTH))
    policy = TablePolicy(digits, rng, options.lr)
    policy.pool = make_pool(policy.rows(), seed)
    for _ in range(options.sft_steps if arm == "sft" else 0):
        policy.imitate(GROUPS * GENERATIONS)
    curriculum = build_curriculum(CurriculumConfig(**ARMS[arm], curriculum_seed=seed))
    curriculum.bind(policy.pool, policy, GROUPS, GENERATIONS)  # type: ignore[arg-type]
    spent, reached = {"steps": 0, "rollouts": 0, "tokens": 0}, None
    while spent["rollouts"] < options.steps * GROUPS * GENERATIONS:
        if reached is None and policy.accuracy(heldout) >= LEVEL:
            reached = {**spent, "seconds": time.perf_counter() - start}
        batch = collect(curriculum, policy, GROUPS, NoLedger())
        policy.learn(batch)
        spent["steps"] += 1
        spent["rollouts"] += batch.groups.num_rollouts
        spent["tokens"] += batch.groups.num_tokens
    return policy.accuracy(heldout), reached


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arms", default=";".join(ARMS), help="Joined by semicolons.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400, help="The budget: batches' worth of rollouts.")
    parser.add_argument("--pool", type=int, default=256, help="Prompts.")
    parser.add_argument(
        "--easy", type=float, default=0.0, help="Share of prompts of the last two places only."
    )
    parser.add_argument("--lr", type=float, default=20.0, help="Of every arm.")
    parser.add_argument("--sft_steps", type=int, default=50)
    options = parser.parse_args()
    for arm in options.arms.split(";"):
        finals, costs = zip(*(run(arm, seed, options) for seed in range(options.seeds)), strict=True)
        known = [cost for cost in costs if cost is not None]
        low, high = min(finals), max(finals)
        axes = ", ".join(
            f"{np.median([cost[axis] for cost in known]):.4g} {axis}" for axis in (known or [{}])[0]
        )
        print(
            f"{arm}: final {np.mean(finals):.3f} ({low:.3f} to {high:.3f}); "
            f"{len(known)} of {options.seeds} seeds reach {LEVEL}{', in ' * bool(known)}{axes}",
            flush=True,
        )


if __name__ == "__main__":
    main()
