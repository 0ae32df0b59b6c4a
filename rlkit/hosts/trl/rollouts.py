"""The TRL side of a step: rolls out a proposal with the trainer's generation and rewards, keeps the result.

TRL generates and grades inside `GRPOTrainer._generate_and_score_completions`. Here the same two methods are
called a round at a time; when the batch is full, `held_rows` gives back what was generated, for TRL to go on
from it.
"""

import math
import time
from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from rlkit.hosts.trl.given_back import IMAGES, Held, prepared_prompts
from rlkit.hosts.trl.hints import Revealed
from rlkit.hosts.trl.judgements import Judgements
from rlkit.hosts.trl.kept import Completion, KeptCompletions
from rlkit.hosts.trl.senses import PolicySenses
from rlkit.types import ABSENT, Batch, Groups, Proposal
from rlkit.verify.copies import own, own_data


def given_row(row: dict[str, Any], args: GRPOConfig, has_prompts: bool = True) -> dict[str, Any]:
    """A row as TRL would have it: without a prompt where the data has none, and with `remove_unused_columns`
    without what the trainer itself does not read."""
    if not has_prompts:
        row = {name: value for name, value in row.items() if name != "prompt"}
    if not args.remove_unused_columns:
        return row
    return {name: row[name] for name in ("prompt", *IMAGES) if name in row}


class TRLHost:
    """Generates and grades through a `CurriculumGRPOTrainer`; every process holds an equal share of the rows.

    The rows of a round are its groups' completions one after the other; process k holds the k-th slice of
    them, as TRL's own sampler deals them. `signal` is the column of the curriculum's reward, None for the
    total.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.signal: int | None = None
        self.judgements = Judgements(trainer)
        self.senses = PolicySenses(trainer, self.judgements)
        self.kept = KeptCompletions(trainer)
        self.round_sizes: list[int] = []
        """Completions of each round of the optimizer step."""
        self.start()

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
        """Forgets the last step's completions and judgements."""
        self.judgements.start()
        self._completions: dict[int, Completion] = {}
        self._rewards: list[torch.Tensor] = []
        self._rows_of: dict[int, list[int]] = defaultdict(list)
        self._num_rows = 0
        self.num_infinite = 0

    def whole(self, num: int, count: int) -> int:
        multiple = self.world // math.gcd(self.world, count)
        return math.ceil(num / multiple) * multiple

    def agree(self, proposal: Proposal) -> Proposal:
        if self.world == 1:
            return proposal
        # As many prompts, from the first on, as make equal shares of rows.
        whole = np.flatnonzero(np.cumsum(proposal.count_P) % self.world == 0)
        box = [proposal.take(np.arange(whole[-1] + 1 if len(whole) else 0))]
        return broadcast_object_list(box)[0]

    def rollout(self, proposal: Proposal) -> Groups:
        trainer = self.trainer
        group_of_row = np.repeat(np.arange(len(proposal.index_P)), proposal.count_P)
        total = len(group_of_row)
        share = range(total * self.rank // self.world, total * (self.rank + 1) // self.world)
        mine = group_of_row[share.start : share.stop]
        source_rows = trainer.pool.take(proposal.index_P[mine[0] : mine[-1] + 1])
        given = partial(given_row, args=trainer.args, has_prompts=trainer.has_prompts)
        full_rows = [source_rows[group - mine[0]] for group in mine]
        revealed = Revealed(trainer, full_rows, proposal.share_P[mine])
        rows = revealed.as_paragraphs([own(given(row)) for row in full_rows])

        start = time.perf_counter()
        prompts = self._prepared_prompts(rows)
        with revealed.continued():
            generated = revealed.as_answers(self._generate(prompts, proposal.count_P))
        graded_from = time.perf_counter()
        rewards = self._grade(rows, prompts, generated)
        grading_seconds = time.perf_counter() - graded_from

        for row, group in enumerate(group_of_row, start=self._num_rows):
            self._rows_of[int(proposal.index_P[group])].append(row)
        self._keep(self._as_rolled_out(rows, prompts), revealed.as_trained(generated), share)
        self._rewards.append(rewards)
        self._num_rows += total
        self.round_sizes.append(total)
        return self._groups(
            proposal, rewards, generated[1], generated[2], graded_from - start, grading_seconds
        )

    def _generate(self, prompts: list, count_P: np.ndarray) -> tuple:
        """TRL's generation. A vLLM server gets each prompt once where all have as many completions."""
        trainer, group_size = self.trainer, self.trainer.num_generations
        trainer.num_generations = int(count_P[0]) if (count_P == count_P[0]).all() else 1
        try:
            return trainer._generate(prompts)
        finally:
            trainer.num_generations = group_size

    def _prepared_prompts(self, rows: list[dict]) -> list:
        """The prompts as TRL hands them to generation and to rewards."""
        plain = not (self.trainer.tools or self.trainer.environment_factories)
        if plain and not rows[0].keys() & set(IMAGES):
            return [row["prompt"] for row in rows]
        score = partial(GRPOTrainer._generate_and_score_completions, self.trainer)
        return prepared_prompts(self.trainer, score, rows)

    def _as_rolled_out(self, rows: list[dict], prompts: list) -> list[dict]:
        """The rows with what environments added to their prompts; pictures are still to be added."""
        if not self.trainer.environment_factories or rows[0].keys() & set(IMAGES):
            return rows
        return [{**row, "prompt": prompt} for row, prompt in zip(rows, prompts, strict=True)]

    def _grade(self, rows: list[dict], prompts: list, generated: tuple) -> torch.Tensor:
        """Rewards of all processes, (rows, functions); what a rollout function returned becomes columns.

        Rewards get copies: what they change is neither trained on nor kept.
        """
        graded = [own_data(row) for row in rows]
        for name, values in generated[5].items():
            for position, row in enumerate(graded):
                row[name] = values[position] if isinstance(values, list) else values
        arguments = (graded, own_data(prompts), own_data(generated[3]), own_data(generated[1]))
        rewards = self.trainer._calculate_rewards(*arguments)
        infinite = torch.isinf(rewards)  # of a reward model, or of a function above float32's range
        self.num_infinite += int(infinite.sum())
        return rewards.masked_fill(infinite, torch.nan)

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
        counted = [sum(mask) for mask in tool_mask] if tool_mask else [len(ids) for ids in completion_ids]
        lengths = self.accelerator.gather(torch.tensor(counted, device=self.accelerator.device))
        weights = self.trainer.reward_weights.to(rewards.device)
        total = (rewards * weights).nansum(dim=1)
        total[torch.isnan(rewards).all(dim=1)] = torch.nan
        signal = total if self.signal is None else rewards[:, self.signal]
        present_PG = np.arange(proposal.count_P.max()) < proposal.count_P[:, None]

        def shaped(values: torch.Tensor, fill: float, dtype: type) -> np.ndarray:
            values_PG = np.full(present_PG.shape, fill, dtype=dtype)
            values_PG[present_PG] = values.cpu().numpy()  # float64 here: not all devices have it
            return values_PG

        return Groups(
            index_P=proposal.index_P,
            signal_PG=shaped(signal, np.nan, float),
            reward_PG=shaped(total, np.nan, float),
            length_PG=shaped(lengths, 0, np.int64),
            generation_seconds=generation_seconds,
            grading_seconds=grading_seconds,
            age_PG=np.where(present_PG, 0, ABSENT),
            share_P=proposal.share_P,
        )

    def held_rows(self, batch: Batch) -> Held:
        """This process's share of the batch's completions, and the rewards of all rows.

        Rewards of groups that only pad the batch are missing, as TRL leaves such rows out of its statistics.
        """
        rolled_out = range(self._num_rows)
        rows_B = [self._rows(batch.groups, position) for position in batch.chosen_B.tolist()]
        row_R = [row for rows in rows_B for row in rows]
        size_B = np.array([len(rows) for rows in rows_B])
        rewards = torch.cat(self._rewards)
        rewards = rewards[torch.tensor(row_R, device=rewards.device)]
        padding = torch.from_numpy(np.repeat(batch.weight_B == 0, size_B))
        rewards[padding.to(rewards.device)] = torch.nan
        in_place = batch.num_rounds == 1 and row_R == list(rolled_out)
        completions = self._completions if in_place else self._everywhere(row_R)
        rows = np.array_split(row_R, self.world)[self.rank].tolist()
        return Held([completions[row] for row in rows], rows, rewards, size_B)

    def _rows(self, groups: Groups, position: int) -> list[int]:
        """The rows of a group's completions: kept ones, which get a row in this step, then new ones."""
        index, age_G = int(groups.index_P[position]), groups.age_PG[position]
        kept = self.kept.of(index)[: int((age_G > 0).sum())]
        rows = []
        for completion in kept:
            rows.append(self._num_rows)
            self._completions[self._num_rows] = completion
            self._rewards.append(torch.tensor([completion.rewards], device=self.accelerator.device))
            self._num_rows += 1
        return rows + self.fresh_rows(groups, position)

    def fresh_rows(self, groups: Groups, position: int) -> list[int]:
        """The rows of the completions of a group that were made in this step, in the group's order."""
        rows = self._rows_of[int(groups.index_P[position])]
        # The last ones: a reference may have been rolled out before to be looked at.
        return rows[len(rows) - int((groups.age_PG[position] == 0).sum()) :]

    def made_here(self, rows: list[int]) -> dict[int, Completion]:
        """Those of these rows' completions that this process made."""
        return {row: self._completions[row] for row in rows if row in self._completions}

    def rewards_of(self, rows: list[int]) -> list[list[float]]:
        """Each row's rewards, one a function."""
        return torch.cat(self._rewards).cpu()[rows].tolist()

    def _everywhere(self, rows: list[int]) -> dict[int, Completion]:
        """These rows' completions, of which each process made some, on every process."""
        if self.world == 1:
            return self._completions
        wanted = set(rows)
        return dict(gather_object([(row, kept) for row, kept in self._completions.items() if row in wanted]))

    def keep(self, groups: Groups, batch: Batch) -> None:
        """Keeps these groups' completions, and no others, for later steps; before the policy changes."""
        fresh = {
            int(index): self._rows_of[int(index)]
            for index, age_G in zip(groups.index_P, groups.age_PG, strict=True)
            if age_G.max() == 1  # one generation old by the time that it is used
        }
        rows = [row for group in fresh.values() for row in group]
        completions = self._everywhere(rows)
        rewards = torch.cat(self._rewards).cpu()
        for row in rows:
            completions[row].rewards = rewards[row].tolist()
        new = {index: {row: completions[row] for row in group} for index, group in fresh.items()}
        trained = np.flatnonzero(batch.trained_P).tolist()
        trained_rows = {row for position in trained for row in self.fresh_rows(batch.groups, position)}
        self.kept.replace(groups.index_P.tolist(), new, trained_rows)
