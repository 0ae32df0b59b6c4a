"""`AsyncCurriculumGRPOTrainer`: TRL's `AsyncGRPOTrainer` with one extra argument, `curriculum`.

A vLLM server rolls out while the policy updates. The curriculum sits between the two: it orders groups as
there is room for them, learns from each as it comes, drops what the filter drops, and hands the others to
TRL's loader, which takes this worker (TRL's `rollout_worker` protocol) for its own.
"""

import logging
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from transformers.trainer_utils import TrainOutput

from rlkit.curriculum.curriculum import Curriculum
from rlkit.hosts.async_trl import checks
from rlkit.hosts.async_trl.flow import Flow
from rlkit.hosts.async_trl.journal import FILE, Journal
from rlkit.hosts.async_trl.places import AsyncGRPOConfig, AsyncGRPOTrainer, RolloutSample
from rlkit.hosts.async_trl.record import AsyncRecord, SettleSteps
from rlkit.hosts.async_trl.rewards import check_picklable
from rlkit.hosts.async_trl.saving import AsyncCheckpoints
from rlkit.hosts.async_trl.senses import ServerSenses
from rlkit.hosts.async_trl.server import Server
from rlkit.hosts.async_trl.worker import RolloutWorker
from rlkit.hosts.trl.budget_stop import add_callbacks
from rlkit.hosts.trl.early import check_folder, check_rewards
from rlkit.hosts.trl.finished import Finished, RunFinishedError
from rlkit.hosts.trl.preemption import Preemption
from rlkit.hosts.trl.setup import as_curriculum, as_dataset, as_list, reward_names, signal_column
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import AUTO, check_output_dir, find_checkpoint
from rlkit.settings.config import CurriculumConfig

logger = logging.getLogger(__name__)

SYNC_PAUSE = 1.0
"""Seconds between two attempts to send the weights."""


class AsyncCurriculumGRPOTrainer(AsyncGRPOTrainer):
    """An `AsyncGRPOTrainer` that chooses its prompts.

    Args:
        curriculum: a preset's name (see `rlkit.PRESETS`), a `CurriculumConfig`, or a `Curriculum`.
        Every other argument is `AsyncGRPOTrainer`'s, without `rollout_worker` and `environment_factory`.
        `train_dataset` must have a length, its prompts are messages.

    Raises:
        ValueError: before a model loads, for settings, data, rewards or a server that cannot work.

    Example:
        trainer = AsyncCurriculumGRPOTrainer(model, reward, args=args, train_dataset=data, curriculum="dapo")
    """

    args: AsyncGRPOConfig

    def __init__(
        self,
        model: str,
        reward_funcs: Any = None,
        args: AsyncGRPOConfig | None = None,
        train_dataset: Any = None,
        *rest: Any,
        curriculum: str | CurriculumConfig | Curriculum = "uniform",
        tools: list[Any] | None = None,
        **kwargs: Any,
    ):
        checks.check_arguments(kwargs)
        args = args or AsyncGRPOConfig(f"{model.split('/')[-1]}-AsyncGRPO")
        checks.check_settings(args)
        functions = as_list(reward_funcs)
        self.curriculum, self.allow_changed_data = as_curriculum(curriculum, functions, args)  # type: ignore[arg-type]
        checks.check_curriculum(self.curriculum)
        self.pool = make_pool(train_dataset, self.curriculum.seed)
        checks.check_data(self.pool)
        check_folder("output_dir", str(args.output_dir))
        check_picklable("reward function", functions)
        check_picklable("tool", tools or [])
        signal = signal_column(self.curriculum.signal, reward_names(functions))
        (row,) = self.pool.take(np.array([0]))
        check_rewards(functions, row, self.curriculum.safety.reward_timeout, "train_dataset")
        self._group_size, self._num_groups = args.num_generations, checks.groups_of_step(args)
        senses, reads = ServerSenses(self.pool), checks.reads_server(self.curriculum)
        self.curriculum.bind(self.pool, senses, self._num_groups, self._group_size)
        checks.check_server(args, model, kwargs.get("processing_class"), senses, reads)
        self.worker = None
        if args.process_index == 0:
            self.worker = RolloutWorker(
                {"reward_funcs": functions, "reward_timeout": self.curriculum.safety.reward_timeout},
                self.curriculum.safety.max_ungraded_steps * self._num_groups,
            )

        dataset = as_dataset(self.pool.rows)
        super().__init__(
            model, functions, args, dataset, *rest, tools=tools, rollout_worker=self.worker, **kwargs
        )

        senses.model = lambda: f"{self._lora_name}-v{self.model_version}" if self._lora_sync else model
        self.flow_state: dict[str, Any] | None = None
        self._make_flow = partial(
            Flow,
            self.curriculum,
            num_groups=self._num_groups,
            max_staleness=args.max_staleness,
            signal=signal,
            make_sample=RolloutSample,
        )
        if self.worker is not None:
            self.worker.settings |= self._loop_settings(model, tools)
        self.record = AsyncRecord(Path(str(args.output_dir)), self.accelerator.is_main_process)
        self.preemption, self.checkpoints = Preemption(self.accelerator), AsyncCheckpoints(self)
        add_callbacks(self, [SettleSteps(self), self.record, Finished(self)])

    def _loop_settings(self, model: str, tools: list[Any] | None) -> dict[str, Any]:
        """What TRL gives its own rollout loop."""
        args = self.args
        same = (
            "num_generations max_inflight_tasks temperature top_p top_k min_p repetition_penalty "
            "request_timeout chat_template_kwargs max_tool_calling_iterations fork_threshold_tokens"
        )
        return {
            **{name: getattr(args, name) for name in same.split()},
            "model_name": model,
            "lora_name": self._lora_name if self._lora_sync else None,
            "processing_class": self.processing_class,
            "eos_token_ids": self.eos_token_ids,
            "tools": tools,
            "vllm_server_url": args.vllm_server_base_url,
            "max_tokens": args.max_completion_length,
            "token_budget": args.token_budget,
        }

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As `Trainer.train`; resuming settles all that was ordered: see docs/async.md.

        SIGTERM ends it early, after a checkpoint; `preemption.stopped` says so.

        Args:
            resume_from_checkpoint: a folder; True for the newest in the output folder that is whole; "auto"
                for that, or a new run where no checkpoint was ever completed.

        Raises:
            ValueError: the output folder holds another run, the checkpoint is broken, or its preset or data
                differ.
            SavingError: a checkpoint could not be written.
            NothingGradedError: no completion could be graded for `max_ungraded_steps` steps.
            RuntimeError: the server or the rollout process failed for good; or a second call, for which TRL
                starts no rollouts.
        """
        if self.state.global_step:
            raise RuntimeError(
                f"this trainer has trained to step {self.state.global_step}, and TRL starts its rollouts "
                "once; make a new trainer and go on with train(resume_from_checkpoint=True)"
            )
        output_dir = str(self.args.output_dir)
        checkpoint = find_checkpoint(resume_from_checkpoint, output_dir)
        if self.accelerator.is_main_process and resume_from_checkpoint != AUTO:
            check_output_dir(output_dir, checkpoint)
        self.accelerator.wait_for_everyone()
        if checkpoint:
            self.checkpoints.load(Path(checkpoint))
        self.record.open(self.pool, self.curriculum.step, self.curriculum.keeping)
        if self.worker is not None:
            self.worker.flow = self._make_flow(Journal(Path(output_dir) / FILE))
            self.worker.flow.load_state_dict(self.flow_state)
        try:
            with self.checkpoints.rotated_here(), self.preemption:
                return super().train(resume_from_checkpoint=checkpoint, **kwargs)
        except RunFinishedError:
            return TrainOutput(self.state.global_step, 0.0, {})
        finally:
            with suppress(OSError):  # a full disk must not hide what ended the run
                self._settle_rest()
                self.record.flush()

    def _settle_rest(self) -> None:
        """What is left when the training ends has a row, too; a run that goes on drops these rows again."""
        if self.worker is None:
            return
        self.worker.stop()
        with self.worker.changed:
            left = self.worker.flow.end()  # type: ignore[union-attr]
            if left is not None:
                self.record.ledger.step = self.state.global_step
                self.record.write(left)

    def get_train_dataloader(self) -> Any:
        """TRL's, watched: what its collator packs is what the next micro-batches train on, in this order."""
        loader = super().get_train_dataloader()
        inner = getattr(loader, "base_dataloader", loader)  # accelerate's wrapper hands on to it
        self._packed: list[int] = []
        collate = inner.collate_fn

        def watched(examples: list[Any]) -> Any:
            (rows,) = examples
            self._packed.append(sum(len(row.samples) for row in rows))
            return collate(examples)

        inner.collate_fn = watched
        return loader

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().training_step(*args, **kwargs)
        if self.worker is not None:
            with self.worker.changed:
                self.worker.flow.trained(self._packed.pop(0))  # type: ignore[union-attr]
        return loss

    def _sync_weight(self) -> None:
        """As TRL's; where the server does not answer it is waited for, and gets the weights anew.

        With several processes a failure ends the run: they cannot agree on it in the middle of a collective.
        """
        deadline = time.monotonic() + self.args.vllm_server_timeout
        failed = False
        while True:
            try:
                if failed:
                    self._connect_anew()
                return super()._sync_weight()
            except Exception as error:  # of requests, of the transfer, or TRL's own
                if self.accelerator.num_processes > 1 or time.monotonic() > deadline:
                    raise
                logger.warning("the weights did not reach the vLLM server (%r): trying again", error)
            failed = True
            time.sleep(SYNC_PAUSE)

    def _connect_anew(self) -> None:
        Server(self.args.vllm_server_base_url, self.args.vllm_server_timeout).wait()
        if self.weight_transfer is not None:
            self.weight_transfer.destroy()
            self.weight_transfer.init_weight_transfer()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        checkpoint = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        self.checkpoints.save(checkpoint, partial(super()._save_checkpoint, model, trial))
