"""A trainer's checkpoints: our files beside transformers', made whole by a manifest; then old ones go."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlkit.record.checkpoint import check_processes, last_checkpoint, load_state, save_state
from rlkit.record.manifest import MANIFEST, abandon_after, commit, is_foreign, rotate, step_of

logger = logging.getLogger(__name__)


class SavingError(RuntimeError):
    """A checkpoint could not be written, as where the disk is full; the one before it is whole."""


class Checkpoints:
    """Saves and restores what a `CurriculumGRPOTrainer` needs to go on as if never stopped."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._limit: int | None = None
        self._newest: Path | None = None

    @contextmanager
    def rotated_here(self) -> Iterator[None]:
        """Takes `save_total_limit` over from transformers while training.

        It deletes older checkpoints before ours is whole, and at the end all but the best one where the
        limit is 1, also where a signal has stopped the run.
        """
        args = self.trainer.args
        self._limit, args.save_total_limit = args.save_total_limit, None
        try:
            yield
        finally:
            args.save_total_limit = self._limit

    def save(self, checkpoint: Path, save_trainer: Callable[[], None]) -> None:
        """Writes our files, those of `save_trainer`, then the manifest; then deletes old checkpoints.

        Raises:
            SavingError: a file could not be written; what there was of the checkpoint is removed. Or another
            program's checkpoint is in the way.
        """
        if checkpoint == self._newest:  # asked for twice at one step
            return
        if checkpoint.exists() and is_foreign(checkpoint):
            raise SavingError(f"{checkpoint} was not saved by rlkit and is in the way; move it elsewhere")
        try:
            self._write(checkpoint, save_trainer)
        except Exception as error:
            shutil.rmtree(checkpoint, ignore_errors=True)
            last = last_checkpoint(checkpoint.parent)
            raise SavingError(
                f"{checkpoint} could not be saved ({type(error).__name__}: {error}); "
                + (
                    f"{last} is whole: make room and go on with --resume auto"
                    if last
                    else "there is no other"
                )
            ) from error
        self._newest = checkpoint

    def _write(self, checkpoint: Path, save_trainer: Callable[[], None]) -> None:
        trainer = self.trainer
        trainer.record.flush()
        if trainer.args.should_save and checkpoint.exists():  # cut short, altered or abandoned
            shutil.rmtree(checkpoint)
        trainer.accelerator.wait_for_everyone()
        (checkpoint / MANIFEST.parent).mkdir(parents=True, exist_ok=True)  # the mark that it is ours
        if not trainer.args.save_only_model:
            self._write_state(checkpoint)
        save_trainer()
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            commit(checkpoint)
            rotate(checkpoint, self._limit, trainer.state.best_model_checkpoint)

    def _write_state(self, checkpoint: Path) -> None:
        trainer = self.trainer
        if trainer.accelerator.is_main_process:
            state = {
                "curriculum": trainer.curriculum.state_dict(),
                "record": trainer.record.state_dict(),
                "guards": trainer.watch.state_dict(),
                "kept": trainer.host.kept.state_dict(),
                "objectives": trainer.objectives.state_dict(),
                "steering": trainer.steering.state_dict(),
            }
            save_state(checkpoint, "curriculum", state)
        rank = trainer.accelerator.process_index
        if rank == 0 or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            save_state(checkpoint, f"moments-{rank}", trainer.objectives.steps.state_dict())
        cycle = trainer.args.steps_per_generation * trainer.num_iterations
        amid = trainer._step % cycle != 0
        state = {
            "num_processes": trainer.accelerator.num_processes,
            "step": trainer._step,
            "buffered_inputs": trainer._buffered_inputs if amid else None,
        }
        save_state(checkpoint, f"process-{trainer.accelerator.process_index}", state)

    def load(self, checkpoint: Path, goes_back: bool = False) -> None:
        """Restores all that `save` wrote beside transformers' files; later checkpoints no longer count.

        Args:
            goes_back: the run leaves what it did since; else that shows by a later checkpoint.
        """
        trainer = self.trainer
        if is_foreign(checkpoint) and trainer.curriculum.safety.fresh_curriculum:
            trainer.record.totals["step"] = step_of(checkpoint)
            return
        saved = load_state(checkpoint, "curriculum")
        trainer.steering.load_state_dict(saved["steering"])
        trainer.curriculum.load_state_dict(saved["curriculum"], trainer.allow_changed_data)
        trainer.record.load_state_dict(saved["record"])
        trainer.watch.load_state_dict(saved["guards"])
        trainer.host.kept.load_state_dict(saved["kept"])
        trainer.objectives.load_state_dict(saved["objectives"])
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        of = trainer.accelerator.process_index if sharded else 0
        trainer.objectives.steps.load_state_dict(load_state(checkpoint, f"moments-{of}"))
        local = load_state(checkpoint, f"process-{trainer.accelerator.process_index}")
        check_processes(checkpoint, local["num_processes"], trainer.accelerator.num_processes)
        trainer._step, trainer._buffered_inputs = local["step"], local["buffered_inputs"]
        own = checkpoint.resolve().parent == Path(trainer.args.output_dir).resolve()
        trainer.accelerator.wait_for_everyone()  # all processes have found the checkpoint to go on from
        if own and trainer.accelerator.is_main_process and (abandon_after(checkpoint) or goes_back):
            trainer.steering.leave_branch(step_of(checkpoint))
        self._newest = checkpoint if own else None
