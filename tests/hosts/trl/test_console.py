"""Guards what a person reads of a run: the lines, who prints them, and TRL's output for who asks for it."""

import logging
import re
from contextlib import contextmanager
from typing import ClassVar

import pytest
from tiny_trl import make_trainer
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from rlkit.hosts.trl.console import StepLines, evaluation_words, model_name
from rlkit.settings.program import quiet_libraries
from rlkit.settings.voice import Voice, listen

STEP = re.compile(r"step +\d+/3  reward \d\.\d{3}  effective \d\.\d\d  rollouts [\d,]+  \d+\.\d s")


@pytest.fixture(scope="module", autouse=True)
def as_in_a_recipe():
    quiet_libraries()


def run(tmp_path, capsys, **settings):
    """A short run, its lines on standard output and what was on standard error."""
    trainer = make_trainer(tmp_path / "run", "pcl", **{"disable_tqdm": False, **settings})
    trainer.train()
    out, err = capsys.readouterr()
    return trainer, out.splitlines(), err


def test_one_line_at_the_start_one_a_step_and_a_summary(tmp_path, capsys):
    trainer, lines, err = run(tmp_path, capsys, save_strategy="steps", save_steps=3)
    folder = tmp_path / "run"
    assert lines[0] == (
        f"rlkit: {model_name(trainer)}, 64 prompts, curriculum pcl, 4 prompts x 4 completions a step, "
        f"steps 1 to 3 -> {folder}"
    )
    assert [line[:8] for line in lines[1:4]] == ["step 1/3", "step 2/3", "step 3/3"]
    assert all(STEP.fullmatch(line) for line in lines[1:4])
    assert "rollouts 48  " in lines[3]
    assert lines[4].startswith("rlkit: done, step 3 after ") and "48 rollouts spent, 48 trained" in lines[4]
    assert [line.split()[0] for line in lines[5:]] == ["look", "evaluate", "go"]
    assert f"rlkit eval {folder}/checkpoint-* --benchmarks" in lines[6]
    assert "--max_steps 6 --resume auto" in lines[7]
    assert err == "", "the bar is for a terminal"


def test_every_logging_step_has_the_seconds_of_one_step(tmp_path, capsys):
    trainer, lines, _ = run(tmp_path, capsys, logging_steps=3)
    (line,) = (line for line in lines if line.startswith("step"))
    seconds = trainer.record.totals["seconds/total"] / 3
    assert line.endswith(f"  {seconds:.1f} s")


@pytest.mark.parametrize("settings", [{"disable_tqdm": True}, {"log_level": "warning"}])
def test_who_asks_for_trls_output_gets_it(tmp_path, capsys, settings):
    trainer, lines, _ = run(tmp_path, capsys, max_steps=1, **settings)
    kind = PrinterCallback if "disable_tqdm" in settings else ProgressCallback
    assert kind in map(type, trainer.callback_handler.callbacks)
    assert StepLines not in map(type, trainer.callback_handler.callbacks)
    assert sum(line.startswith("{'loss'") for line in lines) == 1
    assert not any(line.startswith("step") for line in lines)


def test_trackers_still_get_every_metric(tmp_path, capsys):
    class Tracker(TrainerCallback):
        logs: ClassVar[list[dict]] = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.logs.append(dict(logs))

    run(tmp_path, capsys, max_steps=1, extra={"callbacks": [Tracker()]})
    names = Tracker.logs[0].keys()
    assert {"loss", "reward", "curriculum/effective_ratio", "completions/mean_length"} <= names


def test_a_resumed_run_says_from_where_and_a_finished_one_that_it_is(tmp_path, capsys):
    run(tmp_path, capsys, max_steps=2, save_strategy="steps", save_steps=2)
    for text in ("a step, steps 3 to 3 ->", "rlkit: step 3 is the last of this run: nothing to do"):
        trainer = make_trainer(
            tmp_path / "run", "pcl", disable_tqdm=False, max_steps=3, save_strategy="steps", save_steps=1
        )
        trainer.train(resume_from_checkpoint="auto")
        assert text in capsys.readouterr().out


def test_errors_of_grading_stand_in_the_line_and_are_warned_of_once(tmp_path, capsys, caplog):
    def broken(completions, **columns):
        raise OSError("no route")

    def works(completions, **columns):
        return [float(len(completion)) for completion in completions]

    trainer = make_trainer(tmp_path / "run", "uniform", [broken, works], disable_tqdm=False)
    trainer.train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert all(line.endswith("  grading errors 16") for line in lines) and len(lines) == 3
    assert sum("reward function broken failed" in record.getMessage() for record in caplog.records) == 1


def test_words_of_an_evaluation():
    logs = {"eval_loss": 0.1, "eval_reward": 0.5, "eval_gsm8k/accuracy": 0.25, "eval_gsm8k/tokens": 9.0}
    assert evaluation_words(logs) == ["evaluation", "reward 0.500", "gsm8k 0.250"]
    assert evaluation_words({"eval_math/accuracy": None}) == ["evaluation", "math -"]


@contextmanager
def alone():
    """The root logger without the test runner's handlers, as in a program."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


def test_our_warnings_stand_out_and_come_from_the_main_process(capsys, monkeypatch):
    with alone():
        listen()
        listen()
        assert sum(isinstance(handler, Voice) for handler in logging.getLogger("rlkit").handlers) == 1
        logging.getLogger("rlkit.somewhere").warning("the pool [of %d] is drained", 5)
        assert capsys.readouterr().err == "rlkit: warning: the pool [of 5] is drained\n"
        monkeypatch.setenv("RANK", "1")
        logging.getLogger("rlkit.somewhere").warning("again")
        assert capsys.readouterr().err == ""


def test_a_program_with_logging_of_its_own_gets_the_warnings_there(capsys):
    seen = []

    class Own(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    with alone():
        listen()
        logging.getLogger().addHandler(Own())
        logging.getLogger("rlkit.somewhere").warning("mine")
    assert seen == ["mine"] and capsys.readouterr().err == ""
