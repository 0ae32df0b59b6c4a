"""AMFT (He et al., arXiv 2508.06944): RL and supervised learning in one update, at a weight that adapts.

    L = (1 - mu) L_RL + mu L_SFT,   L_SFT = mean over demonstrations s of -(1 / |s|) sum_t log pi(s_t)

After a warm-up, every few generations

    mu <- clip(mu + eta_m g + eta_H (H* - H), 0.05, 0.95),   g = cos(grad L_val, grad L_SFT - grad L_RL)

where L_val is L_SFT on a validation set, H the policy's mean token entropy and H* its mean over the first
generations. A step of size lr along L changes -L_val by lr mu <grad L_val, grad L_SFT - grad L_RL> more than
with mu = 0, so mu grows where the demonstrations lower the validation loss faster than RL does.

The published code (TSYJ-He/AMFT) has the opposite sign and a raw dot product, 1e-10 of a step; the cosine and
its rate are ours. mu at the start is the paper's, eta_H, bounds and cadence are that code's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rlkit.objectives.demonstrations import Grade, accepted_demonstrations, fitting_demonstrations
from rlkit.objectives.lessons import Lessons
from rlkit.objectives.objective import Collected, Example, Objective, Tokens, Update
from rlkit.prompts.files import read_rows
from rlkit.prompts.pool import PromptPool, make_pool

LOWEST, HIGHEST = 0.05, 0.95
ENTROPY_STEPS = 20
"""Generations whose mean entropy is H*."""

Rows = Sequence[dict[str, Any]]


class AMFT(Objective):
    """Adds the demonstrations' loss at weight mu, and scales RL's gradient by 1 - mu.

    Args:
        validation: rows with `prompt` and the demonstrations' column, or a file of them, on which L_val is
            taken; what the reward needs to check them stands in them too.
        column: of the demonstrations: text for prompts that are text, messages for messages.
        mu: at the start.
        rate: eta_m.
        entropy_rate: eta_H.
        every: generations from one change of mu to the next.
        warmup: generations before the first.
        rows: demonstrations beside each micro-batch.
        fail: the greatest reward of a completion that has not solved its prompt.
    """

    name = "amft"
    needs_gradients = True

    def __init__(
        self,
        validation: str | Path | Rows | None,
        column: str = "demonstration",
        mu: float = 0.5,
        rate: float = 0.05,
        entropy_rate: float = 5e-4,
        every: int = 20,
        warmup: int = 50,
        rows: int = 8,
        fail: float = 0.0,
    ):
        self.validation, self.column, self.rows, self.fail = validation, column, rows, fail
        self.rate, self.entropy_rate, self.every, self.warmup = rate, entropy_rate, every, warmup
        self._mu = self._next = mu
        self._generation = 0
        self._entropy = self._first = self._gain = 0.0
        self._loss_now = 0.0
        self._reinforced: list[torch.Tensor] = []

    def check(self, pool: PromptPool, grade: Grade) -> None:
        self._lessons = Lessons(pool, accepted_demonstrations(pool, self.column, grade, self.fail))
        if not self.validation:
            raise ValueError(
                f"amft_validation ({self.validation!r}) names no rows to judge the demonstrations by; give a "
                f"file whose rows have a prompt and {self.column!r}, and are not trained on"
            )
        given = self.validation
        with of_the_validation_set():
            held = make_pool(read_rows(given) if isinstance(given, str | Path) else given)
            self._held = Lessons(held, accepted_demonstrations(held, self.column, grade, self.fail))

    def check_tokens(self, pool: PromptPool) -> None:
        self._lessons = self._fitting(self._lessons)
        with of_the_validation_set():
            self._held = self._fitting(self._held)

    def _fitting(self, lessons: Lessons) -> Lessons:
        keys = fitting_demonstrations(lessons.pool, self.column, lessons.accepted, self.learner.fits)
        return Lessons(lessons.pool, keys)

    def collected(self, collected: Collected) -> None:
        self._mu = self._next
        self._generation += 1

    def token_weight(self, tokens: Tokens) -> torch.Tensor:
        mask_RT, entropy_RT = tokens.scored.mask_RT, tokens.scored.entropy_RT
        local = torch.stack([(entropy_RT * mask_RT).sum(), mask_RT.sum().to(entropy_RT)])
        total, num = self.learner.gathered(local).view(-1, 2).sum(dim=0).tolist()
        self._entropy = total / max(num, 1.0)
        if self._generation <= ENTROPY_STEPS:
            self._first += (self._entropy - self._first) / self._generation
        return torch.full_like(entropy_RT, 1 - self._mu)

    def loss(self, update: Update) -> torch.Tensor:
        learner = self.learner
        if update.part < learner.parts_of_step and update.iteration == 0 and self._due():
            self._reinforce(update)
        start = ((self._generation - 1) * learner.num_parts + update.part) * learner.num_processes
        loss = self._supervised(update.model, self._lessons, (start + learner.rank) * self.rows)
        self._loss_now = float(learner.gathered(loss.detach()[None]).mean())
        return self._mu * loss

    def _due(self) -> bool:
        late = self._generation - self.warmup
        return late > 0 and late % self.every == 0

    def _reinforce(self, update: Update) -> None:
        """Adds up RL's gradient over the first optimizer step's micro-batches; with the last mu moves."""
        learner, model = self.learner, self.learner.unwrapped(update.model)
        share = learner.parts_of_step * (1 - self._mu)
        gradient = [part / share for part in learner.gradient(model, update.loss)]
        if update.part > 0:
            gradient = [a + b for a, b in zip(self._reinforced, gradient, strict=True)]
        self._reinforced = gradient
        if update.part == learner.parts_of_step - 1:
            self._next = self._steered(model)
            self._reinforced = []

    def _steered(self, model: Any) -> float:
        """mu of the next generation."""
        learner = self.learner
        turn = (self._generation - self.warmup) // self.every
        start = (turn * learner.num_processes + learner.rank) * self.rows
        validation, lesson = (
            learner.gradient(model, self._supervised(model, lessons, start))
            for lessons in (self._held, self._lessons)
        )
        against = [a - b for a, b in zip(lesson, self._reinforced, strict=True)]
        self._gain = cosine(learner.averaged(validation), learner.averaged(against))
        return steered(self._mu, self._gain, self._first - self._entropy, self.rate, self.entropy_rate)

    def _supervised(self, model: Any, lessons: Lessons, start: int) -> torch.Tensor:
        rows = lessons.taken(start, self.rows)
        examples: list[Example] = self.learner.encode(rows, [row[self.column] for row in rows])
        scored = self.learner.score(model, examples)
        length_R = scored.mask_RT.sum(dim=1).clamp(min=1)
        return (-(scored.logprob_RT * scored.mask_RT).sum(dim=1) / length_R).mean()

    def metrics(self) -> dict[str, float]:
        """mu of the latest update, the demonstrations' loss, the last cosine, the entropy and its target."""
        entropy = {"entropy": self._entropy, "entropy_target": self._first}
        return {"mu": self._mu, "supervised": self._loss_now, "gain": self._gain, **entropy}

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in STATE:
            setattr(self, name, state[name])


@contextmanager
def of_the_validation_set() -> Iterator[None]:
    """A mistake inside is told as one of the validation set."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"amft_validation: {error}") from error


STATE = ("_mu", "_next", "_generation", "_entropy", "_first", "_gain", "_loss_now")


def steered(mu: float, gain: float, entropy_lack: float, rate: float, entropy_rate: float) -> float:
    """The next mu. 0.5, gain 1, no lack, rate 0.05 -> 0.55."""
    return min(HIGHEST, max(LOWEST, mu + rate * gain + entropy_rate * entropy_lack))


def cosine(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> float:
    """Of two gradients, given a tensor a parameter; 0 where one of them is zero."""

    def product(left: Sequence[torch.Tensor], right: Sequence[torch.Tensor]) -> float:
        return sum(float((a.double() * b.double()).sum()) for a, b in zip(left, right, strict=True))

    size = (product(first, first) * product(second, second)) ** 0.5
    return product(first, second) / size if size > 0 else 0.0
