"""The TRL side of a step: rolls out a proposal with the trainer's generation and rewards, keeps the result.

TRL generates and grades inside `GRPOTrainer._generate_and_score_completions`. Here the same two methods are
called a round at a time; when the batch is full, `held_rows` gives back what was generated, for TRL to go on
from it.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from peft import PeftModel
from trl.trainer.grpo_trainer import GRPOTrainer

from rlkit.types import Batch, Groups, Proposal


@dataclass(slots=True)
class Completion:
    """One graded completion as TRL made it, with the columns that reward functions logged for it."""

    row: dict[str, Any]
    generated: tuple[Any, ...]
    logged: dict[str, Any]


class PromptsPreparedError(Exception):
    """Carries the prompts out of TRL once it made them ready (images merged, tools and environments set)."""

    def __init__(self, prompts: list):
        self.prompts = prompts


class TRLHost:
    """Generates and grades through a `CurriculumGRPOTrainer`; every process holds an equal share of the rows.

    Row r of a round is completion r % G of the round's group r // G; process k holds the k-th slice of them,
    as TRL's own sampler deals them. `signal` is the column of the curriculum's reward, None for the total.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.signal: int | None = None
        self.capturing = False
        self._completions: dict[int, Completion] = {}
        self._rewards: list[torch.Tensor] = []
        self._num_rows = 0

    @property
    def accelerator(self) -> Any:
        return self.trainer.accelerator

    @property
    def world(self) -> int:
        return self.accelerator.num_processes

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    def start(self) -> None:
        """Forgets the last step's completions."""
        self._completions, self._rewards, self._num_rows = {}, [], 0

    def whole(self, num: int) -> int:
        multiple = self.world // math.gcd(self.world, self.trainer.num_generations)
        return math.ceil(num / multiple) * multiple

    def agree(self, proposal: Proposal) -> Proposal:
        if self.world == 1:
            return proposal
        multiple = self.whole(1)
        usable = np.arange(len(proposal.index_P) // multiple * multiple)
        box = [
            Proposal(
                proposal.index_P[usable],
                proposal.prediction.take(usable),
                proposal.num_candidates,
                proposal.seconds,
            )
        ]
        return broadcast_object_list(box)[0]

    def rollout(self, proposal: Proposal) -> Groups:
        trainer, num_generations = self.trainer, self.trainer.num_generations
        total = len(proposal.index_P) * num_generations
        share = range(total * self.rank // self.world, total * (self.rank + 1) // self.world)
        group_of_row = np.array(share) // num_generations
        source_rows = trainer.pool.take(proposal.index_P[group_of_row[0] : group_of_row[-1] + 1])
        rows = [dict(source_rows[group - group_of_row[0]]) for group in group_of_row]

        start = time.perf_counter()
        generated = GRPOTrainer._generate(trainer, self._prepared_prompts(rows))
        graded_from = time.perf_counter()
        rewards = self._grade(rows, generated)
        grading_seconds = time.perf_counter() - graded_from

        self._keep(rows, generated, share)
        self._rewards.append(rewards)
        self._num_rows += total
        return self._groups(
            proposal, rewards, generated[1], generated[2], graded_from - start, grading_seconds
        )

    def _prepared_prompts(self, rows: list[dict]) -> list:
        """The prompts as TRL hands them to generation."""
        plain = not (self.trainer.tools or self.trainer.environment_factories)
        if plain and not rows[0].keys() & {"image", "images"}:
            return [row["prompt"] for row in rows]
        self.capturing = True
        try:
            GRPOTrainer._generate_and_score_completions(self.trainer, rows)
        except PromptsPreparedError as prepared:
            return prepared.prompts
        finally:
            self.capturing = False
        raise AssertionError("TRL scores only what it generated")

    def _grade(self, rows: list[dict], generated: tuple) -> torch.Tensor:
        """Rewards of all processes, (rows, functions); what a rollout function returned becomes columns."""
        for name, values in generated[5].items():
            for position, row in enumerate(rows):
                row[name] = values[position] if isinstance(values, list) else values
        prompts = [row.get("prompt", "") for row in rows]
        return GRPOTrainer._calculate_rewards(self.trainer, rows, prompts, generated[3], generated[1])

    def _keep(self, rows: list[dict], generated: tuple, share: range) -> None:
        prompt_ids, completion_ids, tool_mask, completions, logprobs, _, images, tool_images = generated
        columns = (prompt_ids, completion_ids, tool_mask, completions, logprobs, images, tool_images)
        logged = self.trainer._pending_extra_logs
        for position, row in enumerate(rows):
            self._completions[self._num_rows + share[position]] = Completion(
                row,
                tuple(column[position] if column else None for column in columns),
                {name: values[position] for name, values in logged.items() if position < len(values)},
            )
        logged.clear()

    def _groups(
        self, proposal, rewards, completion_ids, tool_mask, generation_seconds, grading_seconds
    ) -> Groups:
        num_generations = self.trainer.num_generations
        counted = [sum(mask) for mask in tool_mask] if tool_mask else [len(ids) for ids in completion_ids]
        lengths = self.accelerator.gather(torch.tensor(counted, device=self.accelerator.device))
        weights = self.trainer.reward_weights.to(rewards.device)
        total = (rewards * weights).nansum(dim=1)
        total[torch.isnan(rewards).all(dim=1)] = torch.nan
        signal = total if self.signal is None else rewards[:, self.signal]
        return Groups(
            index_P=proposal.index_P,
            signal_PG=signal.double().cpu().numpy().reshape(-1, num_generations),
            reward_PG=total.double().cpu().numpy().reshape(-1, num_generations),
            length_PG=lengths.cpu().numpy().reshape(-1, num_generations),
            generation_seconds=generation_seconds,
            grading_seconds=grading_seconds,
        )

    def held_rows(self, batch: Batch) -> tuple[list[Completion], torch.Tensor]:
        """This process's share of the batch's completions, and the rewards of all rows, (rows, functions).

        Rewards of groups that only pad the batch are missing, as TRL leaves such rows out of its statistics.
        """
        num_generations = self.trainer.num_generations
        row_B = (batch.chosen_B[:, None] * num_generations + np.arange(num_generations)).reshape(-1)
        rewards = torch.cat(self._rewards)[torch.from_numpy(row_B).to(self._rewards[0].device)]
        padding = torch.from_numpy(batch.weight_B == 0).repeat_interleave(num_generations)
        rewards[padding.to(rewards.device)] = torch.nan
        share = np.array_split(row_B, self.world)[self.rank]
        in_place = batch.num_rounds == 1 and np.array_equal(row_B, np.arange(self._num_rows))
        if self.world > 1 and not in_place:
            wanted = set(row_B.tolist())
            mine = [(row, self._completions[row]) for row in self._completions if row in wanted]
            self._completions = dict(gather_object(mine))
        return [self._completions[row] for row in share.tolist()], rewards

    def features(self, index_N: np.ndarray) -> np.ndarray:
        """Last hidden state at the end of each prompt, (N, D) float32; each process computes its share."""
        trainer = self.trainer
        width = math.ceil(len(index_N) / self.world)
        # Equal shares, filled up with prompts from the start: every process takes part in every forward.
        share = np.resize(index_N, width * self.world)[self.rank * width : (self.rank + 1) * width]
        rows = trainer.pool.take(share)
        if trainer.environment_factories:  # TRL renders each prompt with its environment's tools
            multiple = trainer._multi_environment
            trainer._batch_environments = [row["environment"] if multiple else None for row in rows]
        token_ids = trainer._tokenize_prompts([row["prompt"] for row in rows])[0]
        states = self.accelerator.gather(_last_hidden_states(trainer, token_ids))
        return states.cpu().numpy()[: len(index_N)]

    def truth(self, index_N: np.ndarray) -> None:
        return None


@torch.no_grad()
def _last_hidden_states(trainer: Any, token_ids: list[list[int]]) -> torch.Tensor:
    model = trainer.accelerator.unwrap_model(trainer.model)
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    decoder = base.get_decoder()
    device = trainer.accelerator.device
    chunk = 4 * trainer.args.per_device_train_batch_size
    states = []
    model.eval()
    try:
        for start in range(0, len(token_ids), chunk):
            tokens, mask = _left_padded(token_ids[start : start + chunk], trainer._tokenizer.pad_token_id)
            with trainer.accelerator.autocast():
                output = decoder(input_ids=tokens.to(device), attention_mask=mask.to(device), use_cache=False)
            states.append(output.last_hidden_state[:, -1].float())
    finally:
        model.train()
    return torch.cat(states)


def _left_padded(token_ids: list[list[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask, (N, T) each. TRL's `pad` wants a tensor a prompt, which costs more than this."""
    width = max(map(len, token_ids))
    tokens_NT = np.full((len(token_ids), width), padding)
    mask_NT = np.zeros_like(tokens_NT)
    for row, ids in enumerate(token_ids):
        tokens_NT[row, width - len(ids) :] = ids
        mask_NT[row, width - len(ids) :] = 1
    return torch.from_numpy(tokens_NT), torch.from_numpy(mask_NT)
