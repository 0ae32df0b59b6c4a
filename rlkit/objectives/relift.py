"""ReLIFT (Ma et al., arXiv 2506.07527): supervised steps on demonstrations of what was never solved.

Where no completion of a group earned more than `fail`, the prompt and its demonstration s go to the front of
a buffer. When it holds M pairs, one optimizer step between two generations minimizes their mean of

    -(1 / |s|) sum_t log pi(s_t) - alpha (1 / |s|) sum_t H_t,

with Adam moments of its own and the trainer's learning rate; those pairs are dropped. M = 128 is the paper's,
alpha = 1e-4 its best one (the code has 1e-3). Ours: a prompt that waits already moves to the front.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from rlkit.objectives.demonstrations import Grade, accepted_demonstrations, fitting_demonstrations
from rlkit.objectives.objective import Collected, Example, Objective
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups


class ReLIFT(Objective):
    """Interleaves supervised steps.

    Args:
        pairs: M, demonstrations of a step.
        alpha: weight of the entropy.
        fail: the greatest signal of a completion that has not solved its prompt.
        column: of the demonstrations: text for prompts that are text, messages for messages.
    """

    name = "relift"

    def __init__(
        self, pairs: int = 128, alpha: float = 1e-4, fail: float = 0.0, column: str = "demonstration"
    ):
        self.pairs, self.alpha, self.fail, self.column = pairs, alpha, fail, column
        self._accepted: set[str] = set()
        self._buffer: list[tuple[str, Example]] = []
        """Keys and pairs, the newest first."""
        self._account = {"steps_total": 0.0, "unsolved": 0.0, "without": 0.0}

    def check(self, pool: PromptPool, grade: Grade) -> None:
        self._accepted = accepted_demonstrations(pool, self.column, grade, self.fail)

    def check_tokens(self, pool: PromptPool) -> None:
        self._accepted = fitting_demonstrations(pool, self.column, self._accepted, self.learner.fits)

    def collected(self, collected: Collected) -> None:
        position_U = unsolved(collected.groups, self.fail)
        keys = collected.key_P[position_U].astype(str)
        usable = np.array([key in self._accepted for key in keys], dtype=bool)
        self._account |= {"unsolved": float(len(keys)), "without": float((~usable).sum())}
        if not usable.any():
            return
        rows = collected.rows_of(position_U[usable])
        examples = self.learner.encode(rows, [row[self.column] for row in rows])
        new = dict(zip(keys[usable].tolist(), examples, strict=True))
        waiting = [(key, example) for key, example in self._buffer if key not in new]
        self._buffer = [*new.items(), *waiting]

    def step_losses(self, model: Any) -> list[Callable[[], torch.Tensor]] | None:
        if len(self._buffer) < self.pairs:
            return None
        taken, self._buffer = self._buffer[: self.pairs], self._buffer[self.pairs :]
        world, at_once = self.learner.num_processes, self.learner.rows_at_once
        # Dealt out in turn, and filled up with pairs of weight 0: all processes take part in each forward.
        turn_R = np.arange(math.ceil(self.pairs / world)) * world + self.learner.rank
        self._account["steps_total"] += 1
        self._account["loss"] = 0.0
        return [
            lambda part_R=turn_R[start : start + at_once]: self._loss(
                model,
                [taken[turn % self.pairs][1] for turn in part_R],
                np.where(part_R < self.pairs, world / self.pairs, 0.0),
            )
            for start in range(0, len(turn_R), at_once)
        ]

    def _loss(self, model: Any, examples: list[Example], weight_R: np.ndarray) -> torch.Tensor:
        """This process's part of the mean over the step's pairs, times the number of processes."""
        scored = self.learner.score(model, examples)
        length_R = scored.mask_RT.sum(dim=1).clamp(min=1)
        value_RT = scored.logprob_RT + self.alpha * scored.entropy_RT
        value_R = -(value_RT * scored.mask_RT).sum(dim=1) / length_R
        loss = (torch.tensor(weight_R, dtype=torch.float32, device=value_R.device) * value_R).sum()
        self._account["loss"] += float(self.learner.gathered(loss.detach()[None]).mean())
        return loss

    def metrics(self) -> dict[str, float]:
        """Supervised steps so far and the loss of the latest, pairs that wait, and of the latest generation's
        groups those unsolved, and of these those without an accepted demonstration."""
        return {**self._account, "waiting": float(len(self._buffer))}

    def state_dict(self) -> dict[str, Any]:
        pairs = [(key, example.prompt_ids, example.completion_ids) for key, example in self._buffer]
        return {"buffer": pairs, "account": dict(self._account)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._buffer = [(key, Example(prompt, completion)) for key, prompt, completion in state["buffer"]]
        self._account = dict(state["account"])


def unsolved(groups: Groups, fail: float) -> np.ndarray:
    """Positions of the fresh groups that were scored, and of which no completion earned more than `fail`.

    [[0, 0], [0, 1], [nan, 0], [nan, nan]] -> [0, 2]
    """
    fresh_PG = groups.age_PG == 0
    scored_PG = fresh_PG & ~np.isnan(groups.signal_PG)
    solved_PG = scored_PG & (np.nan_to_num(groups.signal_PG) > fail)
    return np.flatnonzero(scored_PG.any(axis=1) & ~solved_PG.any(axis=1))
