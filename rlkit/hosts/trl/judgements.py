"""The policy's judgements of prompts (METIS), written by the trainer's engine beside the rollouts.

They never meet the groups: not in TRL's metrics of completions, not in the groups' statistics. The objective
`judgements` trains on them.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from accelerate.utils import gather_object

from rlkit.objectives.objective import Example


class Judgements:
    """The judgements of one step, through a `CurriculumGRPOTrainer`.

    Each process writes an equal share of them.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.start()

    def start(self) -> None:
        """Forgets the last step's."""
        self.num_tokens = 0
        self._written: dict[int, Example] = {}
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
            self._written[int(index_N[position])] = Example(list(ids), list(answer_ids))
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

    def lessons(self) -> list[tuple[Example, float]]:
        """The judgements that a lesson came for, each with its advantage, on every process; none where none
        has an advantage."""
        index_S = np.concatenate([np.empty(0, dtype=np.int64), *self._index])
        advantage_S = np.concatenate([np.empty(0), *self._advantage])
        if not advantage_S.any():
            return []
        wanted = set(index_S.tolist())
        mine = [(index, written) for index, written in self._written.items() if index in wanted]
        written = dict(gather_object(mine))
        return [
            (written[index], advantage)
            for index, advantage in zip(index_S.tolist(), advantage_S.tolist(), strict=True)
        ]


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
