"""The policy learns from its judgements of prompts (METIS, arXiv 2605.11235): REINFORCE beside the rollouts,

    loss = -(1 / S) sum_i advantage_i log pi(judgement_i | context_i),

a judgement's tokens summed up, S the judgements of the generation, advantages weighted by lambda. They train
in the first of the iterations over a generation: later they would be off-policy.
"""

import math
from typing import Any

import numpy as np
import torch

from rlkit.objectives.objective import Collected, Example, Objective, Update


class Judgements(Objective):
    """Learns from what a curriculum asked the policy, and graded."""

    name = "judgements"

    def __init__(self) -> None:
        self._lessons: list[tuple[Example, float]] = []

    def collected(self, collected: Collected) -> None:
        taught = any(advantage for _, advantage in collected.lessons)
        self._lessons = collected.lessons if taught else []

    def loss(self, update: Update) -> torch.Tensor | None:
        if not self._lessons or update.iteration > 0:
            return None
        position_S, scale_S = self._share(update.part)
        scored = self.learner.score(update.model, [self._lessons[position][0] for position in position_S])
        logprob_S = (scored.logprob_RT * scored.mask_RT).sum(dim=1)
        return -(torch.tensor(scale_S, dtype=torch.float32, device=logprob_S.device) * logprob_S).sum()

    def _share(self, part: int) -> tuple[np.ndarray, np.ndarray]:
        """Which lessons this process trains on in a micro-batch, and the factor of each one's
        log-probability.

        They are dealt out in turn, and filled up with rows of factor 0, so that all processes take part in
        the same forwards. The factors make the mean over micro-batches and processes the mean over lessons.
        """
        num, world, parts = len(self._lessons), self.learner.num_processes, self.learner.num_parts
        row = np.arange(world * parts * math.ceil(num / (world * parts)))
        advantage_S = np.array([advantage for _, advantage in self._lessons])
        scale = np.where(row < num, advantage_S[row % num] * world * parts / num, 0.0)
        mine = row.reshape(-1, world, parts)[:, self.learner.rank, part]
        return mine % num, scale[mine]

    def state_dict(self) -> dict[str, Any]:
        return {
            "lessons": [
                (example.prompt_ids, example.completion_ids, advantage)
                for example, advantage in self._lessons
            ]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._lessons = [
            (Example(prompt_ids, completion_ids), advantage)
            for prompt_ids, completion_ids, advantage in state["lessons"]
        ]
