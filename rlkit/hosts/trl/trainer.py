"""`CurriculumGRPOTrainer`: TRL's `GRPOTrainer` with one extra argument, `curriculum`.

In training the loader only sets the tempo; which prompts are rolled out is decided inside
`_generate_and_score_completions`, when the rewards of the step before are known. There the step of
`collect.py` runs; then TRL's own method goes on from the collected groups, with `_generate` and
`_calculate_rewards` answering from what was collected, so that each completion is generated and graded once
and the rest of TRL stays as it is.
"""

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.trainer_utils import TrainOutput
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from rlkit.collect import collect
from rlkit.curriculum.curriculum import Curriculum
from rlkit.hosts.trl import card, console, said, uneven
from rlkit.hosts.trl.balance import LengthBalance
from rlkit.hosts.trl.budget_stop import add_callbacks
from rlkit.hosts.trl.early import check_early, given_arguments
from rlkit.hosts.trl.finished import Finished, RunFinishedError
from rlkit.hosts.trl.given_back import given_back
from rlkit.hosts.trl.lora_base import keep_base
from rlkit.hosts.trl.objectives import Objectives
from rlkit.hosts.trl.preemption import Preemption
from rlkit.hosts.trl.prompts import PromptCheck
from rlkit.hosts.trl.refused import check_methods
from rlkit.hosts.trl.retry import Retry
from rlkit.hosts.trl.rollouts import TRLHost
from rlkit.hosts.trl.saving import Checkpoints
from rlkit.hosts.trl.setup import (
    as_curriculum,
    as_dataset,
    as_list,
    check_curriculum,
    guard_environments,
    guarded_rewards,
    in_order,
    reward_names,
    signal_column,
    with_prompts,
)
from rlkit.hosts.trl.steering import Steering
from rlkit.hosts.trl.step_record import StepRecord
from rlkit.hosts.trl.watch import Watch
from rlkit.objectives import ObjectivesLike, build_objectives
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import AUTO, check_output_dir, find_checkpoint, load_state
from rlkit.record.manifest import is_foreign
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Batch

logger = logging.getLogger(__name__)


class CurriculumGRPOTrainer(GRPOTrainer):
    """A `GRPOTrainer` that chooses its prompts.

    Args:
        curriculum: a preset's name (see `rlkit.PRESETS`), a `CurriculumConfig`, or a `Curriculum`.
        objectives: what else the update learns from: names joined by commas, an `ObjectivesConfig`, or a list
            of names and of objects of your own (docs/objectives.md).
        Every other argument is `GRPOTrainer`'s. `train_dataset` must have a length.

    Raises:
        ValueError: before a model loads, for settings or data that cannot work.
        UnfilledBatchError: in mid-run, where the fill policy is "error" or too few prompts can be used.

    Example:
        trainer = CurriculumGRPOTrainer(model, [reward], args=args, train_dataset=data, curriculum="pcl")
    """

    data_name: str | None = None  # an id on the Hub or a file, for the model card

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        train_dataset: Any = None,
        *rest: Any,
        curriculum: str | CurriculumConfig | Curriculum = "uniform",
        objectives: ObjectivesLike = None,
        **kwargs: Any,
    ):
        if args is None:
            name = model if isinstance(model, str) else model.config._name_or_path
            args = GRPOConfig(f"{name.split('/')[-1]}-GRPO")
        check_methods(type(self))
        functions = as_list(reward_funcs)
        self.curriculum, self.allow_changed_data = as_curriculum(
            curriculum, functions, args, kwargs.get("environment_factory")
        )
        guarding = (self._count_grading_error, self.curriculum.safety.reward_timeout)
        reward_funcs = guarded_rewards(reward_funcs, *guarding)
        num_given = len(reward_funcs)
        given = given_arguments(rest, kwargs) | {"model": model}
        environments = given.get("environment_factory")
        if environments is None:  # else the environments' own rewards join later
            signal_column(self.curriculum.signal, reward_names(reward_funcs))
        train_dataset, self.has_prompts = with_prompts(train_dataset, environments)
        self.pool = make_pool(train_dataset, self.curriculum.seed, shuffle=not in_order(args))
        check_curriculum(self.curriculum, self.pool, args)
        self._group_size: int = args.num_generations  # type: ignore[assignment]
        self._num_groups = args.generation_batch_size // self._group_size  # type: ignore[operator]
        self.objectives = Objectives(self, build_objectives(objectives, self.curriculum.objectives))
        self.balance = LengthBalance(self, getattr(objectives, "balance_lengths", True))
        self.host = TRLHost(self)
        self.curriculum.bind(self.pool, self.host.senses, self._num_groups, self._group_size)
        check_early(self, functions, self.pool, args, given)
        if args.resume_from_checkpoint:
            self._check_resume(args)
        self._grading_errors = 0
        self.last_failure: Exception | None = None

        super().__init__(model, reward_funcs, args, as_dataset(self.pool.rows), *rest, **kwargs)

        guard_environments(self, num_given, *guarding)
        self.host.signal = signal_column(self.curriculum.signal, self.reward_func_names)
        self.objectives.check_tokens()
        if self.has_prompts:
            self.pool.usable.examine = PromptCheck(self)
        self.retry = Retry(self)
        self.retry.guard_engine()
        if self.use_vllm:
            keep_base(self)
        if self.rollout_func is not None and self.accelerator.num_processes == 1:
            self.rollout_func = partial(self.retry, self.rollout_func)
        self.record = StepRecord(Path(str(self.args.output_dir)), self.accelerator.is_main_process)
        self.watch, self.preemption = Watch(self), Preemption(self.accelerator)
        self.checkpoints, self.steering = Checkpoints(self), Steering(self)
        add_callbacks(self, [self.steering, self.objectives, self.watch, self.record, Finished(self)])
        console.attach(self)

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As `Trainer.train`; resuming goes on as if never stopped, also amid the steps on one generation.

        SIGTERM ends it early, after a checkpoint; `preemption.stopped` says so.

        Args:
            resume_from_checkpoint: a folder; True for the newest in the output folder that is whole; "auto"
                for that, or a new run where no checkpoint was ever completed.

        Raises:
            ValueError: the output folder holds another run, the checkpoint is broken, or its preset or data
                differ.
            SavingError: a checkpoint could not be written.
            NothingGradedError: no completion could be graded for `max_ungraded_steps` steps.
        """
        output_dir = str(self.args.output_dir)
        checkpoint = find_checkpoint(resume_from_checkpoint, output_dir)
        if self.accelerator.is_main_process and resume_from_checkpoint != AUTO:
            check_output_dir(output_dir, checkpoint)
        if self.accelerator.is_main_process and resume_from_checkpoint == AUTO:
            print(f"rlkit: {f'going on from {checkpoint}' if checkpoint else 'starting anew'}", flush=True)
        self.accelerator.wait_for_everyone()
        if checkpoint:
            self.checkpoints.load(Path(checkpoint))
        self.record.open(self.pool, self.curriculum.step, self.curriculum.keeping)
        try:
            with self.checkpoints.rotated_here(), self.preemption:
                output = self.steering.train(super().train, checkpoint, **kwargs)
        except RunFinishedError:
            output = TrainOutput(self.state.global_step, 0.0, {})
        except BaseException:
            with suppress(OSError):  # a full disk must not hide what ended the run
                self.record.flush()
            raise
        self.record.flush()
        self.watch.check()
        return output

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        return self.balance(super()._prepare_inputs, generation_batch)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:  # type: ignore[union-attr]
            return super()._generate_and_score_completions(inputs)
        self.host.start()
        self._grading_errors = self.retry.num_failed = 0
        self.record.ledger.step = self.state.global_step + 1
        batch = collect(self.curriculum, self.host, self._num_groups, self.record.ledger)
        self._log_collected(batch)
        self.objectives.collected(batch)
        said.write(self, batch)
        held = self.host.held_rows(batch)
        with given_back(self, held) as rows:
            output = super()._generate_and_score_completions(rows)
        if self.curriculum.shelf is not None:
            self.host.keep(self.curriculum.shelf.groups, batch)
            self.host.kept.with_their_policy(output, held.rows, held.completions)
        if (held.size_B != self._group_size).any():
            output["advantages"] = uneven.advantages(self, held)
        return self.objectives.weigh(uneven.without_padding(self, output, batch, held))

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        return self.retry(super()._generate_single_turn, *args, **kwargs)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        with self.host.kept.reading(inputs):
            return super().compute_loss(model, inputs, *args, **kwargs)

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """As TRL's, with the objectives.

        Where a mean counts the rows that only pad, the KL term makes up for them too.
        """
        beta = self.beta
        self.beta = beta * inputs.get("row_scale", 1.0)
        try:
            with self.objectives.weighing(inputs):
                loss = super()._compute_loss(model, inputs)
        finally:
            self.beta = beta
        return loss + self.objectives.terms(model, loss) if model.training and self.objectives.all else loss

    def _count_grading_error(self, name: str, num_rows: int, error: Exception) -> None:
        self._grading_errors += num_rows
        self.last_failure = error
        if self.watch.is_news(f"{name} failed"):
            text = "reward function %s failed on %d completions, which count as unscorable: %r"
            logger.warning(text, name, num_rows, error)

    def _log_collected(self, batch: Batch) -> None:
        """Puts the funnel and the calibration among TRL's metrics, for `report_to`, and into the record."""
        counts = torch.tensor([self._grading_errors, self.retry.num_failed], device=self.accelerator.device)
        num_errors, num_retried = self.accelerator.gather(counts).view(-1, 2).sum(dim=0).tolist()  # type: ignore[union-attr]
        self.watch.collected(batch)
        faults = {"grade/error": num_errors + self.host.num_infinite, "generate/retried": num_retried}
        self.record.collected(batch, self.host.judgements.num_tokens, {**faults, **self.curriculum.metrics()})
        for name, value in self.record.logged.items():  # TRL logs the mean of a list
            self._metrics["train"][name] = [value]

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        super().create_model_card(*args, **kwargs)
        if self.is_world_process_zero():
            card.complete(self)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        checkpoint = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        self.checkpoints.save(checkpoint, partial(super()._save_checkpoint, model, trial))

    def _check_resume(self, args: GRPOConfig) -> None:
        """Refuses a checkpoint of another preset or other data before the model loads."""
        checkpoint = find_checkpoint(args.resume_from_checkpoint, str(args.output_dir))
        fresh = self.curriculum.safety.fresh_curriculum
        if checkpoint is not None and not (fresh and is_foreign(Path(checkpoint))):
            state = load_state(Path(checkpoint), "curriculum")
            self.curriculum.check_state(state["curriculum"], self.allow_changed_data)
            self.objectives.check_state(state["objectives"])
