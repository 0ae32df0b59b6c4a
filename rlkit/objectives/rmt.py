"""RMT's dual loss (Reinforcement Mid-Training, Tian et al., arXiv 2509.24375).

    L = L_RL + lambda L_NTP,   L_NTP = mean over tokens of -log pi(token)

L_NTP runs over a reference, the text that goes on after a prompt, without the tokens that RL trains: those of
the row's `answer`, with which it begins. lambda = 0.1 is the paper's. A reference's last token, the end that
is put behind it, does not train either: the text goes on.
"""

from itertools import takewhile
from typing import Any

import numpy as np
import torch

from rlkit.objectives.demonstrations import AT_ONCE, Grade, fitting_demonstrations
from rlkit.objectives.lessons import Lessons
from rlkit.objectives.objective import Collected, Objective, Update
from rlkit.prompts.pool import PromptPool

ANSWER = "answer"


class RMT(Objective):
    """Adds the next-token loss on references.

    Args:
        column: of the references; they and their prompts are text.
        weight: lambda.
        rows: references beside each micro-batch.
    """

    name = "rmt"

    def __init__(self, column: str = "reference", weight: float = 0.1, rows: int = 8):
        self.column, self.weight, self.rows = column, weight, rows
        self._generation = 0
        self._loss_now = 0.0

    def check(self, pool: PromptPool, grade: Grade) -> None:
        self._lessons = Lessons(pool, referenced(pool, self.column))

    def check_tokens(self, pool: PromptPool) -> None:
        keys = fitting_demonstrations(pool, self.column, self._lessons.accepted, self.learner.fits)
        self._lessons = Lessons(pool, keys)

    def collected(self, collected: Collected) -> None:
        self._generation += 1

    def loss(self, update: Update) -> torch.Tensor:
        learner = self.learner
        turn = ((self._generation - 1) * learner.num_parts + update.part) * learner.num_processes
        rows = self._lessons.taken((turn + learner.rank) * self.rows, self.rows)
        loss = self._next_token(update.model, rows)
        self._loss_now = float(learner.gathered(loss.detach()[None]).mean())
        return self.weight * loss

    def _next_token(self, model: Any, rows: list[dict[str, Any]]) -> torch.Tensor:
        encode = self.learner.encode
        references = encode(rows, [row[self.column] for row in rows])
        answers = encode(rows, [str(row.get(ANSWER) or "") for row in rows])
        scored = self.learner.score(model, references)
        trains_RT = torch.zeros_like(scored.mask_RT)
        for trains_T, reference, answer in zip(trains_RT, references, answers, strict=True):
            ids = reference.completion_ids
            trains_T[num_shared(answer.completion_ids, ids) : len(ids) - 1] = 1
        return -(scored.logprob_RT * trains_RT).sum() / trains_RT.sum().clamp(min=1)

    def metrics(self) -> dict[str, float]:
        """The next-token loss of the latest micro-batch, without its weight."""
        return {"next_token": self._loss_now}

    def state_dict(self) -> dict[str, Any]:
        return {"generation": self._generation, "loss_now": self._loss_now}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._generation, self._loss_now = state["generation"], state["loss_now"]


def referenced(pool: PromptPool, column: str) -> set[str]:
    """Keys of the prompts that have a reference.

    Raises:
        ValueError: there is no such column, it is empty, or a reference or its prompt is no text.
    """
    if column not in pool.column_names:
        raise ValueError(
            f"reference_column ({column!r}) is not in the data; its columns are "
            f"{', '.join(pool.column_names)}; make rows with scripts/make_midtraining_rows.py, or name the "
            "column that has the text after the prompt"
        )
    keys = set()
    for start in range(0, len(pool), AT_ONCE):
        index_N = np.arange(start, min(start + AT_ONCE, len(pool)))
        for key, row in zip(pool.key_N[index_N].astype(str).tolist(), pool.take(index_N), strict=True):
            if not row[column]:
                continue
            if not (isinstance(row[column], str) and isinstance(row["prompt"], str)):
                raise ValueError(
                    f"reference_column ({column!r}): the prompt with key {key} is "
                    f"{_form(row['prompt'])}, its reference {_form(row[column])}; both must be text"
                )
            keys.add(key)
    if not keys:
        raise ValueError(f"reference_column ({column!r}) is empty in every row; add references")
    return keys


def _form(value: Any) -> str:
    return {str: "text", list: "messages"}.get(type(value), type(value).__name__)


def num_shared(first: list[int], second: list[int]) -> int:
    """Tokens that both begin with. [1, 2], [1, 3] -> 1"""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
