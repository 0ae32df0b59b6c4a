"""What the tests of steering share: commands that reach a run after given steps."""

import os
import signal
import threading
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tiny_trl import even_start, make_trainer, metrics, share_of_ones
from transformers import TrainerCallback

from rlkit import CurriculumConfig
from rlkit.live.command import new_command, parse
from rlkit.live.files import commands_path, events_path, read_lines, request

SAVING = {"save_strategy": "steps", "save_steps": 2}


def ask(folder, words, who="Ada"):
    """Puts a command into a run's folder. Returns its uuid."""
    command = new_command(*parse(words), who, time.time())
    (folder / "live").mkdir(parents=True, exist_ok=True)
    request(folder, command)
    return command.uuid


class Asking(TrainerCallback):
    """Asks for commands when a step is over, so that they take effect with the next; those of step 0 at the
    beginning."""

    def __init__(self, folder, after):
        self.folder, self.after = folder, after

    def on_train_begin(self, args, state, control, **kwargs):
        if state.global_step == 0 and state.is_world_process_zero:
            self._ask(0)

    def on_step_end(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self._ask(state.global_step)

    def _ask(self, step):
        for words in self.after.pop(step, []):
            ask(self.folder, words)


def steered(folder, after=None, curriculum="dapo", callbacks=(), **settings):
    """A trainer of six steps that takes commands: {step: [words]} are asked for after these steps."""
    config = CurriculumConfig(curriculum, live=True, signal_max=2.0)
    asking = Asking(folder, {step: list(words) for step, words in (after or {}).items()})
    extra = {"callbacks": [asking, *callbacks], **settings.pop("extra", {})}
    rewards = settings.pop("rewards", [even_start, share_of_ones])
    return make_trainer(folder, config, rewards, extra=extra, **{"max_steps": 6, **settings})


def events(folder, state=None):
    lines = read_lines(events_path(folder))
    return [line for line in lines if state is None or line["state"] == state]


def told(folder):
    """What became of the commands, without times and uuids."""
    return [(line["step"], line["name"], line["state"], line.get("new")) for line in events(folder)]


__all__ = ["SAVING", "ask", "commands_path", "events", "metrics", "steered", "told"]


def ask_all(folder, lines):
    for words in lines:
        ask(Path(folder), words)


def killed(folder):
    """A run that is killed while it waits."""

    class Kill(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGKILL)).start()

    after = {2: ["set temperature 0.5"], 4: ["pause"]}
    steered(Path(folder), after, callbacks=[Kill()], save_strategy="steps", save_steps=4).train()
