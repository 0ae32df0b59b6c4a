"""Commands to a training run take effect between two generations, on all processes at once.

The main process looks into the run's folder and tells the others. A command is prepared, which may refuse it;
then its line in `events.jsonl` is written, then it is applied: a run that is killed in between takes it up
again where it goes on. What took effect after the checkpoint that a run resumes from takes effect again at
the same steps, unless the run went back to it on purpose (a branch).
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback
from transformers.trainer_utils import TrainOutput

from rlkit.hosts.trl.knobs import Apply, Knobs
from rlkit.hosts.trl.live_desk import Desk
from rlkit.hosts.trl.trainer_engine import unchanged_random_state
from rlkit.live.branches import leave
from rlkit.live.command import Command
from rlkit.live.files import events_path, read_lines
from rlkit.record.manifest import defect

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""Between two looks at the folder while the run is paused."""
CHANGES = ("set", "put_aside", "bring_back")
"""Commands that the next steps depend on."""


class GoBackError(Exception):
    """A command goes back to a checkpoint."""

    def __init__(self, command: Command, checkpoint: Path):
        self.command, self.checkpoint = command, checkpoint


class StopError(Exception):
    """A command ends the run."""


class Steering(TrainerCallback):
    """Takes the commands of a run that was started with `live`; else only restores what they had changed."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.folder = Path(str(trainer.args.output_dir))
        self.live: bool = trainer.curriculum.safety.live
        self.desk = Desk(trainer, self.folder, self.live and trainer.accelerator.is_main_process)
        self.knobs = Knobs(trainer)
        self._paused_by: Command | None = None
        self._queue: list[Command] = []
        self._num_events = 0
        self._again: list[dict[str, Any]] = []
        self._do: dict[str, Callable[[Command], None]] = {
            "pause": self._pause,
            "go_on": self._go_on,
            "stop": self._stop,
            "checkpoint": self._checkpoint,
            "evaluate": self._evaluate,
            "load": self._load,
            "note": lambda command: self.desk.tell(command, "done", new=command.value),
            **dict.fromkeys(CHANGES, self._change),
        }

    # -----------------------------------------------------------------------------------------------------
    # The run

    def train(self, train: Callable[..., TrainOutput], checkpoint: str | None, **kwargs: Any) -> TrainOutput:
        """As `train`, from another checkpoint each time that a command goes back to it."""
        self._begin()
        try:
            while True:
                try:
                    return train(resume_from_checkpoint=checkpoint, **kwargs)
                except GoBackError as back:
                    checkpoint = str(back.checkpoint)
                    self._go_back(back)
                except StopError:
                    return self._stopped()
        finally:
            self._end()

    def _begin(self) -> None:
        """Opens the files. What is left of a run that ended before it was done is not taken up."""
        lines = read_lines(events_path(self.folder)) if self.trainer.accelerator.is_main_process else []
        later = lines[self._num_events :]
        self._again = self._agreed(
            [line for line in later if line["state"] == "done" and line["name"] in CHANGES]
        )
        self._queue, self._paused_by = [], None
        self.desk.open()

    def _end(self) -> None:
        if self._paused_by is not None:
            self.desk.tell(self._paused_by, "done")
        self._say("over")
        self.desk.close(self._queue)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._say("running")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The boundary, where the step begins with a generation."""
        trainer = self.trainer
        amid = trainer._step % (args.steps_per_generation * trainer.num_iterations) != 0
        if amid or state.global_step >= state.max_steps:
            return
        while self._again and self._again[0]["step"] <= state.global_step + 1:
            self._repeat(self._again.pop(0))
        if not self.live:
            return
        self.desk.flush_now_and_then()
        while True:
            self._queue += self._agreed(self.desk.asked())
            while self._queue:
                self._take(self._queue.pop(0))
            if self._paused_by is None or trainer.preemption.is_asked():
                return
            time.sleep(POLL_SECONDS)

    def _agreed(self, value: Any) -> Any:
        """The main process's, on every process."""
        if self.trainer.accelerator.num_processes == 1:
            return value
        return broadcast_object_list([value])[0]

    def _take(self, command: Command) -> None:
        """Carries a command out, or says why not: none but `stop` ends the run."""
        try:
            self._do[command.name](command)
        except (GoBackError, StopError):
            raise
        except ValueError as reason:
            self.desk.tell(command, "failed", reason=str(reason))
        except Exception as error:
            logger.warning("the command %s failed: %r", command.name, error)
            self.desk.tell(command, "failed", reason=f"{type(error).__name__}: {error}")
        self._say("running" if self._paused_by is None else "paused")

    def _repeat(self, line: dict[str, Any]) -> None:
        """A change that took effect before the run was killed takes effect again."""
        try:
            self._prepare(line["name"], line["value"])[1]()
        except ValueError as reason:
            logger.warning("%s %s of the run before is left out: %s", line["name"], line["value"], reason)

    def _say(self, word: str) -> None:
        self.desk.say(word, can_evaluate=bool(self._evaluations()), **self.knobs.status())

    # -----------------------------------------------------------------------------------------------------
    # The commands

    def _change(self, command: Command) -> None:
        old, apply = self._prepare(command.name, command.value)
        self.desk.tell(command, "done", old=old, new=command.value)
        apply()

    def _prepare(self, name: str, value: Any) -> tuple[dict[str, Any], Apply]:
        return self.knobs.prepare(value) if name == "set" else self.knobs.prepare_aside(name, value)

    def _pause(self, command: Command) -> None:
        if self._paused_by is not None:
            raise ValueError("the run is paused already")
        self._paused_by = command
        self.desk.tell(command, "running")

    def _go_on(self, command: Command) -> None:
        if self._paused_by is None:
            raise ValueError("the run is not paused")
        paused_by, self._paused_by = self._paused_by, None
        self.desk.tell(paused_by, "done")
        self.desk.tell(command, "done")

    def _checkpoint(self, command: Command) -> None:
        self.desk.tell(command, "running")
        self.desk.tell(command, "done", new=self._saved().name)

    def _saved(self) -> Path:
        """A checkpoint of what was trained so far."""
        trainer, step = self.trainer, self.trainer.state.global_step
        if step == 0:
            raise ValueError("no step is done yet, so there is nothing to save")
        trainer._save_checkpoint(trainer.model, None)
        trainer.control = trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)
        return self.folder / f"checkpoint-{step}"

    def _stop(self, command: Command) -> None:
        self.desk.tell(command, "running")
        new = self._saved().name if self.trainer.state.global_step else None
        self.desk.tell(command, "done", new=new)
        raise StopError

    def _stopped(self) -> TrainOutput:
        trainer = self.trainer
        if trainer.accelerator.is_main_process:
            print(f"rlkit: stopped by a command after step {trainer.state.global_step}", flush=True)
        trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
        return TrainOutput(trainer.state.global_step, 0.0, {})

    def _evaluations(self) -> list[Callable[[], Any]]:
        """What evaluates this run: held-out data, and callbacks with an `evaluate_now`."""
        trainer = self.trainer
        callbacks = trainer.callback_handler.callbacks
        own = [callback.evaluate_now for callback in callbacks if hasattr(callback, "evaluate_now")]
        return [*([] if trainer.eval_dataset is None else [trainer.evaluate]), *own]

    def _evaluate(self, command: Command) -> None:
        """Leaves no trace in the training."""
        trainer, evaluations = self.trainer, self._evaluations()
        if not evaluations:
            raise ValueError("the run has nothing to evaluate on (eval_dataset, or benchmarks)")
        self.desk.tell(command, "running")
        with unchanged_random_state(trainer.accelerator.device):
            for evaluate in evaluations:
                evaluate()
                trainer.model.train()
        self.desk.tell(command, "done")

    def _load(self, command: Command) -> None:
        trainer, checkpoint = self.trainer, self.folder / f"checkpoint-{command.value}"
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise ValueError(
                "a sharded model cannot be loaded into a run; stop, and start again with "
                f"--resume {checkpoint.name}"
            )
        wrong = self._agreed(defect(checkpoint) if trainer.accelerator.is_main_process else None)
        if wrong is not None:
            raise ValueError(f"load ({command.value}): {checkpoint.name} cannot be loaded: {wrong}")
        self.desk.tell(command, "running")
        raise GoBackError(command, checkpoint)

    def _go_back(self, back: GoBackError) -> None:
        trainer = self.trainer
        paused_by, self._paused_by = self._paused_by, None
        trainer.record.flush()
        trainer.checkpoints.load(back.checkpoint, goes_back=True)
        trainer.record.open(trainer.pool, trainer.curriculum.step, trainer.curriculum.keeping)
        trainer._metrics["train"].clear()
        trainer._last_loaded_step = -1  # vLLM's engine has the weights of the branch that was left
        step = back.command.value + 1
        if paused_by is not None:
            self.desk.tell(paused_by, "done", step=step)
        self.desk.tell(back.command, "done", step=step, new=back.checkpoint.name)

    # -----------------------------------------------------------------------------------------------------
    # The checkpoint

    def state_dict(self) -> dict[str, Any]:
        return {"knobs": self.knobs.state_dict(), "num_events": len(read_lines(events_path(self.folder)))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what commands had changed; before the curriculum's own state."""
        self.knobs.load_state_dict(state["knobs"])
        self._num_events = state["num_events"]

    def leave_branch(self, step: int) -> None:
        """The run goes back to the checkpoint of that step, whose state was loaded: what came after it is
        put away."""
        if self.live or events_path(self.folder).exists():
            leave(self.folder, step, self._num_events)
