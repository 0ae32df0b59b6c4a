"""What an objective is: a part of the update beside GRPO's own loss.

It sees the groups that were collected, may scale the gradient of single tokens, may add a term to the loss of
each micro-batch, and may take optimizer steps of its own between generations. It knows no curriculum and no
trainer; what it needs of the host is a `Learner`. Shapes are in the names: P groups, R rows, T tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rlkit.objectives.demonstrations import Grade
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of what the policy reads, and of what it wrote or should write."""

    prompt_ids: list[int]
    completion_ids: list[int]


@dataclass(frozen=True, slots=True)
class Scored:
    """Of completions under a policy, (R, T) each: log-probabilities, entropies in nats, which are tokens."""

    logprob_RT: "torch.Tensor"
    entropy_RT: "torch.Tensor"
    mask_RT: "torch.Tensor"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a generation brought, the same on every process.

    `groups` are all that were graded, also those that the update does not get; `rows_of` gives the rows of
    the prompts at some positions of them, and `key_P` their stable keys. `lessons` are what the policy wrote
    beside the rollouts, each with its weighted advantage.
    """

    groups: Groups
    key_P: np.ndarray
    rows_of: Callable[[np.ndarray], list[dict[str, Any]]]
    lessons: list[tuple[Example, float]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The completions that this process trains on in a generation, under the policy before its first update.

    `advantage_R` is GRPO's. `expected` computes the mean over the vocabulary, E_{i~p}[S_i], (R, T), of
    S = p (H + log p), for one forward more; every process must call it.
    """

    scored: Scored
    advantage_R: "torch.Tensor"
    expected: "Callable[[], torch.Tensor]"


@dataclass(frozen=True, slots=True)
class Update:
    """A micro-batch of the update: the model as it is trained, the loss so far (GRPO's, over the optimizer
    step's micro-batches, with its graph), the micro-batch's number in its generation, and how often the
    generation was gone through before."""

    model: Any
    loss: "torch.Tensor"
    part: int
    iteration: int


class Learner(Protocol):
    """The host, as objectives see it."""

    @property
    def num_processes(self) -> int: ...

    @property
    def rank(self) -> int: ...

    @property
    def num_parts(self) -> int:
        """Micro-batches that a process's rows of a generation are dealt to."""
        ...

    @property
    def parts_of_step(self) -> int:
        """Micro-batches of an optimizer step."""
        ...

    @property
    def rows_at_once(self) -> int:
        """Rows of a micro-batch."""
        ...

    def score(self, model: Any, examples: list[Example]) -> Scored:
        """Every process must call it alike: with a sharded model all take part in each forward."""
        ...

    def unwrapped(self, model: Any) -> Any:
        """The model without what averages gradients over processes, for forwards that train nothing."""
        ...

    def gradient(self, model: Any, loss: "torch.Tensor") -> "list[torch.Tensor]":
        """Of a loss on this process, a tensor a trained parameter; the graph stays."""
        ...

    def averaged(self, gradient: "list[torch.Tensor]") -> "list[torch.Tensor]":
        """Its mean over processes."""
        ...

    def gathered(self, local_N: "torch.Tensor") -> "torch.Tensor":
        """The values of all processes, of which each may have another number."""
        ...

    def encode(self, rows: list[dict[str, Any]], completions: list[Any]) -> list[Example]:
        """Each row's prompt with a completion, text or messages, tokenized as TRL's SFTTrainer does: chat
        template, end token, cut on the right to as many tokens as a rollout may have."""
        ...

    def fits(self, rows: list[dict[str, Any]], completions: list[Any]) -> list[bool]:
        """Whether each row's prompt with the whole completion fits into the model's context."""
        ...


class Objective:
    """Does nothing: what an objective does not override costs nothing."""

    name = "objective"
    needs_gradients = False
    """Whether it takes gradients of its own, which no process has whole where parameters are sharded."""

    def bind(self, learner: Learner) -> None:
        self.learner = learner

    def check(self, pool: PromptPool, grade: Grade) -> None:
        """Called before the model loads, with the data and the reward that the curriculum looks at.

        Raises:
            ValueError: the objective cannot learn from them.
        """

    def check_tokens(self, pool: PromptPool) -> None:
        """Called when model and tokenizer have loaded, before the first step.

        Raises:
            ValueError: the data do not go with them.
        """

    def collected(self, collected: Collected) -> None:
        """Takes in a generation, before its first update."""

    def token_weight(self, tokens: Tokens) -> "torch.Tensor | None":
        """The factor of each token's gradient, (R, T), for all updates on the generation; None for no change,
        where all processes must decide alike. The loss's value and its denominators stay as they are.
        """
        return None

    def loss(self, update: Update) -> "torch.Tensor | None":
        """A scalar that is added to the loss of a micro-batch: its mean over the micro-batches of an
        optimizer step and over processes is minimized. None for none; all processes must decide alike.
        """
        return None

    def step_losses(self, model: Any) -> "list[Callable[[], torch.Tensor]] | None":
        """Called between generations: the micro-batches of an optimizer step of its own, with moments of its
        own; the sum of their losses, and its mean over processes, is minimized. None where no step is due."""
        return None

    def metrics(self) -> dict[str, float]:
        """Numbers of the latest step, the same on every process."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """All that its later steps depend on, the same on every process."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
