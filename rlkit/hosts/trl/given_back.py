"""Lets TRL's own code go on from what was rolled out: `_generate` and `_calculate_rewards` answer from it.

The answers are attributes of the trainer itself, so that they stand before the methods of any class: a
subclass that overrides one of these has had its say when the round was rolled out, and is not asked twice.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlkit.hosts.trl.answering import answering
from rlkit.hosts.trl.judgements import replaced
from rlkit.hosts.trl.kept import Completion

IMAGES = ("image", "images")
"""Columns of pictures. TRL puts them into the prompt."""


@dataclass(frozen=True, slots=True)
class Held:
    """A batch for the update: this process's completions and their numbers in the generation, the rewards of
    all rows (R, F), and the groups' sizes (B,)."""

    completions: list[Completion]
    rows: list[int]
    rewards: torch.Tensor
    size_B: np.ndarray


class PromptsPreparedError(Exception):
    """Carries the prompts out of TRL once it made them ready (images merged, tools and environments set)."""

    def __init__(self, prompts: list):
        self.prompts = prompts


class RolledOut:
    """Stands in for an environment whose rollout is over: what its reset said is in the prompt already."""

    def reset(self, **row: Any) -> None:
        pass


def prepared_prompts(trainer: Any, score: Callable[[list[dict]], Any], rows: list[dict]) -> list:
    """The prompts as `score`, TRL's own, hands them to generation; environments are reset, once a row."""

    def leave(prompts: list) -> None:
        raise PromptsPreparedError(prompts)

    try:
        with answering(trainer, _generate=leave):
            score(rows)
    except PromptsPreparedError as prepared:
        return prepared.prompts
    raise AssertionError("TRL scores only what it generated")


@contextmanager
def given_back(trainer: Any, held: Held) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows of a batch; TRL's code finds them generated and graded."""

    def generate(prompts: list) -> tuple:
        return _generated(trainer, held.completions)

    def calculate_rewards(*args: Any, **kwargs: Any) -> torch.Tensor:
        return held.rewards

    with ExitStack() as stack:
        stack.enter_context(answering(trainer, _generate=generate, _calculate_rewards=calculate_rewards))
        if trainer.environment_factories and not held.completions[0].row.keys() & set(IMAGES):
            waiting = {
                name: [RolledOut() for _ in held.completions] for name in trainer.environment_factories
            }
            used = {"environments": trainer.environments, "_environment_pool": waiting}
            stack.enter_context(replaced(trainer, **used))
        yield [completion.row for completion in held.completions]


def _generated(trainer: Any, completions: list[Completion]) -> tuple:
    """What `_generate` returned for these, and the columns that rewards logged for them."""
    prompt_ids, completion_ids, tool_mask, texts, logprobs, images, tool_images = (
        None if all(item is None for item in column) else list(column)
        for column in zip(*(completion.generated for completion in completions), strict=True)
    )
    for name in {name for completion in completions for name in completion.logged}:
        trainer._pending_extra_logs[name] = [completion.logged.get(name) for completion in completions]
    return prompt_ids, completion_ids, tool_mask, texts, logprobs, {}, images, tool_images or []
