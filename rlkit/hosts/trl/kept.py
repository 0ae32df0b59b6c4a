"""Completions that wait for a later step, with the logprobs of their tokens under the policy that made them.

The curriculum's shelf says which prompts' groups are kept; here are their completions, the same on every
process. When a kept completion trains, the ratio of GRPO's objective is pi / pi_old with pi_old the policy
that sampled it. Under vLLM's importance correction TRL has that ratio already, from the sampler's logprobs.

Where the policy stays the same from a generation to its last loss, TRL computes no old logprobs: they are
those of the loss's own forward. So they are here, for the new completions beside kept ones and for those that
are kept after they trained. Only completions that are kept untrained have a forward of their own.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from trl.trainer.utils import pad

from rlkit.hosts.trl.answering import answering
from rlkit.prompts.pool import PromptPool
from rlkit.verify.copies import own

OLD = "old_per_token_logps"
"""TRL's column of a batch; NaN where the loss's own forward is to fill it."""
ROW = "kept_row"
"""The column with each row's number in the step's generation, where the loss's forward gives old logprobs."""


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
        self._awaiting: dict[int, Completion] = {}
        """Those whose logprobs the update is to give, by their number in the generation."""

    def of(self, index: int) -> list[Completion]:
        return self._of.get(index, [])

    def replace(self, indices: list[int], new: dict[int, dict[int, Completion]], trained: set[int]) -> None:
        """Keeps the groups of `indices`: `new` ones of the present policy, and what was kept before.

        Args:
            new: completions by their number in the generation, by pool index.
            trained: numbers of the completions that are in the update.
        """
        self._of = {
            index: list(new[index].values()) if index in new else self._of[index] for index in indices
        }
        if self._corrected_by_trl:
            return
        made = {row: completion for group in new.values() for row, completion in group.items()}
        self._awaiting = {row: completion for row, completion in made.items() if row in trained}
        untrained = [completion for row, completion in made.items() if row not in trained]
        if untrained:
            logprobs = policy_logprobs(self.trainer, untrained)
            for completion, values in zip(untrained, logprobs, strict=True):
                completion.logprobs = values

    @property
    def _corrected_by_trl(self) -> bool:
        return self.trainer.use_vllm and self.trainer.vllm_importance_sampling_correction

    def with_their_policy(self, output: dict[str, Any], rows: list[int], batch: list[Completion]) -> None:
        """Puts the logprobs of kept completions into a batch for the update.

        Args:
            rows: this process's rows of the batch, as numbers in the generation.
            batch: their completions.
        """
        if self._corrected_by_trl:
            return
        if OLD in output:
            self._take(rows, output[OLD])
        else:
            ids = output["completion_ids"]
            output[OLD] = torch.full_like(ids, torch.nan, dtype=torch.float32)
            output[ROW] = torch.tensor(rows, device=ids.device)
        for old, completion in zip(output[OLD], batch, strict=True):
            if completion.logprobs is not None:
                old[: len(completion.logprobs)] = completion.logprobs.to(old)

    @contextmanager
    def reading(self, inputs: dict[str, Any]) -> Iterator[None]:
        """Inside, the first forward, which is that of a micro-batch's loss, gives the old logprobs that are
        missing.

        Raises:
            RuntimeError: there was none.
        """
        if ROW not in inputs:
            yield
            return
        score = self.trainer._get_per_token_logps_and_entropies

        def read(*args: Any, **kwargs: Any) -> tuple:
            logprobs, *others = score(*args, **kwargs)
            if ROW in inputs:
                present, old = logprobs.detach(), inputs[OLD]
                inputs[OLD] = torch.where(old.isnan(), present, old.to(present))
                self._take(inputs.pop(ROW).tolist(), present)
            return logprobs, *others

        with answering(self.trainer, _get_per_token_logps_and_entropies=read):
            yield
        if ROW in inputs:
            raise RuntimeError(
                f"{type(self.trainer).__name__} has a loss without _get_per_token_logps_and_entropies, from "
                "which replay takes old log-probabilities; call it there, or use a preset without replay"
            )

    def _take(self, rows: list[int], logprobs: torch.Tensor) -> None:
        """Gives completions on every process their logprobs, which are among those of some process's rows."""
        if not self._awaiting:
            return
        mine = [item for item in zip(rows, logprobs.cpu(), strict=True) if item[0] in self._awaiting]
        for row, values in gather_object(mine):
            completion = self._awaiting.pop(row)
            completion.logprobs = values[: len(completion.completion_ids)].clone()

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


@torch.no_grad()
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
    prompt_ids, prompt_mask, completion_ids, completion_mask = (
        pad(values, padding_value=value, padding_side=side).to(device)
        for values, value, side in (
            (prompts, padding, "left"),
            ([torch.ones_like(ids) for ids in prompts], 0, "left"),
            (answers, padding, "right"),
            ([torch.ones_like(ids) for ids in answers], 0, "right"),
        )
    )
    logprobs, _, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([prompt_ids, completion_ids], dim=1),
        torch.cat([prompt_mask, completion_mask], dim=1),
        completion_ids.shape[1],
        batch_size=trainer.args.per_device_train_batch_size,
    )
    logprobs = torch.nn.functional.pad(logprobs, (0, longest - logprobs.shape[1]))
    gathered = trainer.accelerator.gather(logprobs).cpu()
    return [
        row[: len(completion.completion_ids)].clone()
        for row, completion in zip(gathered, completions, strict=False)
    ]
