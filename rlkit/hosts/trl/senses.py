"""What a trainer can tell of a prompt without rolling it out: by a forward of its policy, or by asking it."""

import math
from typing import Any

import numpy as np
import torch

from rlkit.curriculum.estimators import Reading
from rlkit.hosts.trl.hidden_states import last_hidden_states, read_likelihoods, read_states
from rlkit.hosts.trl.judgements import Judgements
from rlkit.hosts.trl.prompts import context_length, token_ids

MAX_REFERENCE = 256
"""Tokens of a reference whose likelihood is read: a limit on what one prompt can cost."""


class PolicySenses:
    """Reads a `CurriculumGRPOTrainer`'s policy; every process computes its share and has all of it."""

    shows: tuple[str, ...] = ("states", "likelihood", "perplexity")

    def __init__(self, trainer: Any, judgements: Judgements):
        self.trainer, self.judgements = trainer, judgements

    def features(self, index_N: np.ndarray) -> np.ndarray:
        """Last hidden state at the end of each prompt, (N, D) float32; each process computes its share."""
        trainer = self.trainer
        prompt_ids = token_ids(trainer, trainer.pool.take(self._share(index_N)))
        return self._gathered(last_hidden_states(trainer, prompt_ids), len(index_N))

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        """By one forward a prompt; a reference is cut where it would leave the context."""
        trainer, num = self.trainer, len(index_N)
        share = self._share(np.arange(num))
        prompt_ids = token_ids(trainer, trainer.pool.take(index_N[share]))
        if reference_N is None:
            if layer is not None:
                return Reading(self._gathered(read_states(trainer, prompt_ids, layer), num), None, None)
            first, rest = [ids[:1] for ids in prompt_ids], [ids[1:] for ids in prompt_ids]
            likelihoods, _ = read_likelihoods(trainer, first, rest, None)
            return Reading(None, None, self._gathered(likelihoods, num)[:, 1])
        reference_ids = [self._reference_ids(reference_N[row]) for row in share.tolist()]
        limit = context_length(trainer)
        if limit is not None:
            pairs = zip(prompt_ids, reference_ids, strict=True)
            reference_ids = [reference[: max(limit - len(prompt), 0)] for prompt, reference in pairs]
        likelihoods, states = read_likelihoods(trainer, prompt_ids, reference_ids, layer)
        state_N2H = None if states is None else self._gathered(states, num)
        return Reading(state_N2H, self._gathered(likelihoods, num), None)

    def _reference_ids(self, text: str) -> list[int]:
        ids = self.trainer._tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        return ids[:MAX_REFERENCE]

    def _share(self, index_N: np.ndarray) -> np.ndarray:
        """This process's of equal shares, filled up from the start: each takes part in every forward."""
        accelerator = self.trainer.accelerator
        world, rank = accelerator.num_processes, accelerator.process_index
        width = math.ceil(len(index_N) / world)
        return np.resize(index_N, width * world)[rank * width : (rank + 1) * width]

    def _gathered(self, values: torch.Tensor, num: int) -> np.ndarray:
        return self.trainer.accelerator.gather(values).cpu().numpy()[:num]

    def truth(self, index_N: np.ndarray) -> None:
        return None

    def judge(self, index_N: np.ndarray, context_N: list[str], max_tokens: int) -> list[str]:
        return self.judgements.judge(index_N, context_N, max_tokens)

    def teach(self, index_P: np.ndarray, advantage_P: np.ndarray, weight: float) -> None:
        self.judgements.teach(index_P, weight * advantage_P)
