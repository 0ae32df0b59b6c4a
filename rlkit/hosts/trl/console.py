"""What a person reads of a run: a line at the start, one a logging step beside the bar, a summary at the end.

The step's line takes the place of TRL's print of all metrics, which `report_to` and `metrics.jsonl` have. Who
sets `disable_tqdm` or `log_level` gets TRL's output of the steps as it is.
"""

import sys
import time
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import ProgressCallback, TrainerCallback

from rlkit.settings.voice import listen


def attach(trainer: Any) -> None:
    """Puts the lines into a `CurriculumGRPOTrainer`; called once, when its callbacks are there."""
    listen()
    handler, args = trainer.callback_handler, trainer.args
    replaced = [callback for callback in handler.callbacks if type(callback) is ProgressCallback]
    if replaced and not args.disable_tqdm and args.log_level == "passive":
        handler.callbacks[handler.callbacks.index(replaced[0])] = StepLines(trainer)
    trainer.add_callback(RunLines(trainer))


def say(text: str) -> None:
    """Prints it above the bar."""
    with tqdm.external_write_mode():
        print(text, flush=True)


class StepLines(ProgressCallback):
    """The bar, on a terminal, and what the step was like, in one line."""

    def __init__(self, trainer: Any):
        super().__init__()
        self.trainer = trainer
        self._before = (0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.current_step = 0
        self._before = (state.global_step, self._seconds)
        if state.is_world_process_zero:  # without a terminal there are the lines
            self.training_bar = tqdm(total=state.max_steps, dynamic_ncols=True, disable=None)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if sys.stderr.isatty():
            super().on_prediction_step(args, state, control, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or logs is None:
            return
        if any(name.startswith("eval_") for name in logs):
            words = evaluation_words(logs)
        elif "loss" in logs:
            words = self._step_words(state, logs)
        else:  # the totals, which the summary tells
            return
        width = len(str(state.max_steps))
        say("  ".join([f"step {state.global_step:{width}d}/{state.max_steps}", *words]))

    def _step_words(self, state: Any, logs: dict[str, Any]) -> list[str]:
        step, seconds = self._before
        self._before = (state.global_step, self._seconds)
        num_steps = max(state.global_step - step, 1)
        errors = logs.get("curriculum/grade/error")
        return [
            f"reward {_number(logs.get('reward'))}",
            f"effective {_number(logs.get('curriculum/effective_ratio'), 2)}",
            f"rollouts {self.trainer.record.totals['rollouts/spent_total']:,.0f}",
            f"{(self._seconds - seconds) / num_steps:.1f} s",
            *([f"grading errors {errors:g}"] if errors else []),
        ]

    @property
    def _seconds(self) -> float:
        return self.trainer.record.totals["seconds/total"]


def evaluation_words(logs: dict[str, Any]) -> list[str]:
    """The held-out reward, and each benchmark's accuracy.

    evaluation_words({"eval_reward": 0.5, "eval_gsm8k/accuracy": 0.25})
    -> ["evaluation", "reward 0.500", "gsm8k 0.250"]
    """
    shown = {"reward": logs["eval_reward"]} if "eval_reward" in logs else {}
    for name, value in logs.items():
        if name.startswith("eval_") and name.endswith("/accuracy"):
            shown[name.removeprefix("eval_").removesuffix("/accuracy")] = value
    return ["evaluation", *(f"{name} {_number(value)}" for name, value in shown.items())]


class RunLines(TrainerCallback):
    """What starts, and what came of it with what to do next."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()
        if state.is_world_process_zero:
            say(start_line(self.trainer))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        trainer.create_model_card(model_name=Path(args.output_dir).name)
        if not state.is_world_process_zero or trainer.watch.stopped:  # which its error tells
            return
        if trainer.preemption.stopped:
            say(
                f"rlkit: stopped by SIGTERM after step {state.global_step}; go on with the same command and "
                '--resume auto (in a script: trainer.train(resume_from_checkpoint="auto"))'
            )
        else:
            say(summary(trainer, time.perf_counter() - self._started))


def start_line(trainer: Any) -> str:
    """Model, pool, preset, batch, steps, and where it writes."""
    first, last = trainer.state.global_step + 1, trainer.state.max_steps
    return (
        f"rlkit: {model_name(trainer)}, {len(trainer.pool):,} prompts, curriculum {trainer.curriculum.name}, "
        f"{trainer._num_groups} prompts x {trainer._group_size} completions a step, "
        f"steps {first} to {last} -> {trainer.args.output_dir}"
    )


def model_name(trainer: Any) -> str:
    """The policy's name or folder, and its size."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    name = model.config._name_or_path or type(model).__name__
    return f"{name} ({_size(sum(parameter.numel() for parameter in model.parameters()))})"


def summary(trainer: Any, seconds: float) -> str:
    """What the run did and cost, and the commands that come next."""
    totals, state, folder = trainer.record.totals, trainer.state, Path(trainer.args.output_dir)
    rewards = [row["reward"] for row in state.log_history if row.get("reward") is not None]
    change = f", reward of what was rolled out {rewards[0]:.3f} -> {rewards[-1]:.3f}" if rewards else ""
    saved = f"{folder}/checkpoint-*" if any(folder.glob("checkpoint-*")) else f"{folder}"
    return (
        f"rlkit: done, step {state.global_step} after {_time(seconds)}{change}; "
        f"{totals['rollouts/spent_total']:,.0f} rollouts spent, "
        f"{totals['rollouts/trained_total']:,.0f} trained\n"
        f"  look      {folder}/metrics.jsonl (a row a step), {folder}/ledger (a row a group)\n"
        f"  evaluate  rlkit eval {saved} --benchmarks NAME --samples 8 --out {folder}/eval\n"
        f"  go on     the same command with --max_steps {2 * state.global_step} --resume auto"
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _size(number: float) -> str:
    """_size(494_032_768) -> "494M" """
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:g}"


def _time(seconds: float) -> str:
    """_time(4000) -> "1 h 7 min" """
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
