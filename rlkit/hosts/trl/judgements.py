"""The policy's judgements of prompts (METIS): written by the trainer's engine, trained beside the rollouts.

They never meet the groups: not in TRL's metrics of completions, not in the groups' statistics. What is
learned from them is a second term of the loss, from forwards of its own in the same optimizer step.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import nn
from trl.trainer.utils import pad

Lessons = dict[str, torch.Tensor]
"""Judgements of one micro-batch on one process, one a row: token ids and masks of context and judgement, as
TRL names those of prompt and completion, and `scale`, (rows,), the factor of each one's log-probability."""


@dataclass(frozen=True, slots=True)
class Written:
    """Token ids of what the policy read and wrote."""

    context: list[int]
    judgement: list[int]


class Judgements:
    """The judgements of one step, through a `CurriculumGRPOTrainer`.

    Each process writes an equal share of them, and trains on an equal share of those that a lesson came for.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.start()

    def start(self) -> None:
        """Forgets the last step's."""
        self.num_tokens = 0
        self._written: dict[int, Written] = {}
        self._index: list[np.ndarray] = []
        self._advantage: list[np.ndarray] = []

    def judge(self, index_N: np.ndarray, context_N: list[str], max_tokens: int) -> list[str]:
        """What the policy writes after each context; every process gets all of it, in order."""
        trainer, accelerator = self.trainer, self.trainer.accelerator
        num, world = len(index_N), accelerator.num_processes
        if num == 0:  # a refill that finds no more candidates
            return []
        width = math.ceil(num / world)
        # Equal shares, filled up from the start: every process takes part in every generation.
        first = accelerator.process_index * width
        share = np.resize(np.arange(num), width * world)[first : first + width]
        contexts = [self._as_prompt(context_N[position]) for position in share]
        with _judging(trainer, max_tokens):
            context_ids, images, fields = trainer._tokenize_prompts(contexts)
            judgement_ids, _ = trainer._generate_single_turn(context_ids, images, fields, num_generations=1)
        own = share[: max(num - first, 0)]
        for position, ids, answer_ids in zip(own, context_ids, judgement_ids, strict=False):
            self._written[int(index_N[position])] = Written(list(ids), list(answer_ids))
        texts = trainer.processing_class.batch_decode(judgement_ids, skip_special_tokens=True)
        judged = gather_object(list(zip(texts, map(len, judgement_ids), strict=True)))
        self.num_tokens += sum(length for _, length in judged)
        return [text for text, _ in judged[:num]]

    def _as_prompt(self, context: str) -> str | list[dict[str, str]]:
        """As the pool's prompts are: plain text, or a message for the chat template."""
        chat = isinstance(self.trainer.pool.rows[0]["prompt"], list)
        return [{"role": "user", "content": context}] if chat else context

    def teach(self, index_P: np.ndarray, advantage_P: np.ndarray) -> None:
        """Takes in how good judgements of this step were, weighted."""
        self._index.append(index_P)
        self._advantage.append(advantage_P)

    def lessons(self) -> list[Lessons] | None:
        """What this process trains on in each micro-batch of the generation; None where there is nothing.

        They are dealt out in turn, and filled up with rows of scale 0, so that all processes take part in the
        same forwards. `scale` makes the mean over micro-batches and processes the mean over judgements.
        """
        index_S = np.concatenate([np.empty(0, dtype=np.int64), *self._index])
        advantage_S = np.concatenate([np.empty(0), *self._advantage])
        if not advantage_S.any():
            return None
        accelerator, num = self.trainer.accelerator, len(index_S)
        world, slices = accelerator.num_processes, self.trainer.args.steps_per_generation
        width = math.ceil(num / (world * slices))
        row = np.arange(world * slices * width)
        scale = np.where(row < num, advantage_S[row % num] * world * slices / num, 0.0)
        written = self._of_all_processes(set(index_S.tolist()))
        parts = row.reshape(width, world, slices)[:, accelerator.process_index].T
        return [
            self._tensors([written[index] for index in index_S[part % num]], scale[part]) for part in parts
        ]

    def _of_all_processes(self, wanted: set[int]) -> dict[int, Written]:
        mine = [(index, written) for index, written in self._written.items() if index in wanted]
        return dict(gather_object(mine))

    def _tensors(self, rows: list[Written], scale: np.ndarray) -> Lessons:
        def padded(name: str, sequences: list[list[int]], side: str) -> Lessons:
            ids = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
            masks = [torch.ones_like(sequence) for sequence in ids]
            pad_id = self.trainer._tokenizer.pad_token_id
            return {
                f"{name}_ids": pad(ids, padding_value=pad_id, padding_side=side).to(device),
                f"{name}_mask": pad(masks, padding_value=0, padding_side=side).to(device),
            }

        device = self.trainer.accelerator.device
        return {
            **padded("prompt", [row.context for row in rows], "left"),
            **padded("completion", [row.judgement for row in rows], "right"),
            "scale": torch.tensor(scale, dtype=torch.float32, device=device),
        }


def judgement_loss(trainer: Any, model: nn.Module, lessons: Lessons) -> torch.Tensor:
    """REINFORCE, -sum_i scale_i log pi(judgement_i | context_i), a judgement's tokens summed up."""
    mask = lessons["completion_mask"]
    logprobs = trainer._get_per_token_logps_and_entropies(
        model,
        torch.cat([lessons["prompt_ids"], lessons["completion_ids"]], dim=1),
        torch.cat([lessons["prompt_mask"], mask], dim=1),
        mask.shape[1],
    )[0]
    return -(lessons["scale"] * (logprobs * mask).sum(dim=1)).sum()


@contextmanager
def _judging(trainer: Any, max_tokens: int) -> Iterator[None]:
    """TRL's generation with a limit of its own, and without the rollouts' tools and formats; with vLLM also
    without `generation_kwargs`, whose min_tokens or stop texts are meant for rollouts."""
    with ExitStack() as stack:
        stack.enter_context(replaced(trainer, tools=None, environment_factories=None))
        if trainer.use_vllm:
            engine = trainer.vllm_generation
            limits = {"max_completion_length": max_tokens, "generation_kwargs": {}}
            stack.enter_context(replaced(engine, **limits, structured_outputs_regex=None))
        else:
            stack.enter_context(replaced(trainer.generation_config, max_new_tokens=max_tokens))
        yield


@contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Attributes with other values for a while."""
    before = {name: getattr(owner, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
