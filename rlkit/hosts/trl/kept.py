"""Completions that wait for a later step, with the logprobs of their tokens under the policy that made them.

The curriculum's shelf says which prompts' groups are kept; here are their completions, the same on every
process. When a kept completion trains, the ratio of GRPO's objective is pi / pi_old with pi_old the policy
that sampled it. Under vLLM's importance correction TRL has that ratio already, from the sampler's logprobs.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from trl.trainer.utils import pad

from rlkit.prompts.pool import PromptPool
from rlkit.verify.copies import own


@dataclass(slots=True)
class Completion:
    """One graded completion as TRL made it, with the columns that reward functions logged for it.

    `generated` holds prompt ids, completion ids, tool mask, text, sampler's logprobs, images and tool images,
    None for what there is not. One that is kept also has its rewards, one a function, and its tokens'
    logprobs when it was made.
    """

    row: dict[str, Any]
    generated: tuple[Any, ...]
    logged: dict[str, Any]
    rewards: list[float] | None = None
    logprobs: torch.Tensor | None = None

    @property
    def completion_ids(self) -> list[int]:
        return self.generated[1]


class KeptCompletions:
    """Completions of some prompts' groups, by pool index."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._of: dict[int, list[Completion]] = {}

    def of(self, index: int) -> list[Completion]:
        return self._of.get(index, [])

    def replace(self, indices: list[int], new: dict[int, list[Completion]]) -> None:
        """Keeps the groups of `indices`: `new` ones of the present policy, and what was kept before."""
        self._of = {index: new[index] if index in new else self._of[index] for index in indices}
        completions = [completion for group in new.values() for completion in group]
        if completions and not self._corrected_by_trl:
            logprobs = policy_logprobs(self.trainer, completions)
            for completion, values in zip(completions, logprobs, strict=True):
                completion.logprobs = values

    @property
    def _corrected_by_trl(self) -> bool:
        return self.trainer.use_vllm and self.trainer.vllm_importance_sampling_correction

    def with_their_policy(self, output: dict[str, Any], completions: list[Completion]) -> None:
        """Puts the logprobs of kept completions into a batch for the update that has older ones.

        TRL gives none where it takes each completion to be of the present policy; then those that are not
        kept are computed here, if there are any.
        """
        if self._corrected_by_trl:
            return
        if "old_per_token_logps" not in output:
            known = torch.tensor([all(completion.logprobs is not None for completion in completions)])
            known = self.trainer.accelerator.gather(known.to(self.trainer.accelerator.device)).all()
            output["old_per_token_logps"] = (
                torch.zeros_like(output["completion_ids"], dtype=torch.float32)
                if known
                else _logprobs(self.trainer, *_tokens_of(output))
            )
        for row, completion in zip(output["old_per_token_logps"], completions, strict=True):
            if completion.logprobs is not None:
                row[: len(completion.logprobs)] = completion.logprobs.to(row)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the rows, which the pool has."""
        pool: PromptPool = self.trainer.pool
        return {
            "key_K": pool.key_N[list(self._of)],
            "groups": [
                [
                    {
                        "generated": list(completion.generated),
                        "logged": completion.logged,
                        "rewards": completion.rewards,
                        "logprobs": completion.logprobs,
                    }
                    for completion in group
                ]
                for group in self._of.values()
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave, as far as the data still has the prompts."""
        pool: PromptPool = self.trainer.pool
        index_K = pool.find(np.asarray(state["key_K"]))
        self._of = {}
        for index, group in zip(index_K.tolist(), state["groups"], strict=True):
            if index >= 0:
                row = pool.take(np.array([index]))[0]
                self._of[index] = [
                    Completion(**{**saved, "row": own(row), "generated": tuple(saved["generated"])})
                    for saved in group
                ]


def policy_logprobs(trainer: Any, completions: list[Completion]) -> list[torch.Tensor]:
    """The present policy's logprobs of each completion's tokens; each process computes an equal share."""
    world, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    width = math.ceil(len(completions) / world)
    # Filled up from the start, so that every process takes part in every forward.
    share = np.resize(np.arange(len(completions)), width * world)[rank * width : (rank + 1) * width]
    mine = [completions[position] for position in share.tolist()]
    longest = max(len(completion.completion_ids) for completion in completions)
    prompts = [torch.tensor(completion.generated[0]) for completion in mine]
    answers = [torch.tensor(completion.completion_ids) for completion in mine]
    padding = trainer._tokenizer.pad_token_id
    device = trainer.accelerator.device
    tokens = [
        pad(values, padding_value=value, padding_side=side).to(device)
        for values, value, side in (
            (prompts, padding, "left"),
            ([torch.ones_like(ids) for ids in prompts], 0, "left"),
            (answers, padding, "right"),
            ([torch.ones_like(ids) for ids in answers], 0, "right"),
        )
    ]
    logprobs = _logprobs(trainer, *tokens)
    logprobs = torch.nn.functional.pad(logprobs, (0, longest - logprobs.shape[1]))
    gathered = trainer.accelerator.gather(logprobs).cpu()
    return [
        row[: len(completion.completion_ids)].clone()
        for row, completion in zip(gathered, completions, strict=False)
    ]


def _tokens_of(output: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    return (output["prompt_ids"], output["prompt_mask"], output["completion_ids"], output["completion_mask"])


@torch.no_grad()
def _logprobs(
    trainer: Any,
    prompt_ids: torch.Tensor,
    prompt_mask: torch.Tensor,
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
) -> torch.Tensor:
    return trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([prompt_ids, completion_ids], dim=1),
        torch.cat([prompt_mask, completion_mask], dim=1),
        completion_ids.shape[1],
        batch_size=trainer.args.per_device_train_batch_size,
    )[0]
