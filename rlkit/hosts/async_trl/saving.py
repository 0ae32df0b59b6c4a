"""Checkpoints of an asynchronous run: the synchronous trainer's, with the groups on their way in them."""

from pathlib import Path

from rlkit.hosts.async_trl.orders import ordered_anew
from rlkit.hosts.trl.saving import Checkpoints
from rlkit.record.checkpoint import check_processes, load_state, save_state
from rlkit.record.manifest import abandon_after


class AsyncCheckpoints(Checkpoints):
    """Saves and restores the curriculum, the record and the flow, which the main process has."""

    def _write_state(self, checkpoint: Path) -> None:
        trainer = self.trainer
        if not trainer.accelerator.is_main_process:
            return
        with trainer.worker.changed:
            state = {
                "curriculum": trainer.curriculum.state_dict(),
                "record": trainer.record.state_dict(),
                "flow": trainer.worker.flow.state_dict(),
                "num_processes": trainer.accelerator.num_processes,
            }
        save_state(checkpoint, "curriculum", state)

    def load(self, checkpoint: Path, goes_back: bool = False) -> None:
        """Restores all that `save` wrote beside transformers' files; later checkpoints no longer count."""
        trainer = self.trainer
        saved = load_state(checkpoint, "curriculum")
        if "flow" not in saved:
            raise ValueError(
                f"resume_from_checkpoint ({checkpoint}) is of a synchronous run; go on with "
                "CurriculumGRPOTrainer, or start a new run from its weights (model_name_or_path)"
            )
        check_processes(checkpoint, saved["num_processes"], trainer.accelerator.num_processes)
        trainer.curriculum.load_state_dict(saved["curriculum"], trainer.allow_changed_data)
        trainer.record.load_state_dict(saved["record"])
        own = checkpoint.resolve().parent == Path(trainer.args.output_dir).resolve()
        trainer.flow_state = saved["flow"] if own else ordered_anew(saved["flow"])
        # One less: the weights go to the server once before the first step, as a new version.
        trainer.model_version = saved["flow"]["version"] - 1
        trainer._groups_before_resume = saved["flow"]["num_trained"] - saved["flow"]["num_replayed"]
        trainer.accelerator.wait_for_everyone()
        if own and trainer.accelerator.is_main_process:
            abandon_after(checkpoint)
        self._newest = checkpoint if own else None
