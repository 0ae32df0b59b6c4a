"""Guards SIGTERM: a checkpoint within a step, exit code 0, a line that says how to go on, nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_trl import ledger_rows, make_trainer, metrics

from rlkit.record.checkpoint import last_checkpoint

SCRIPT = Path(__file__).with_name("preempted_run.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def start(folder, steps, processes=1):
    command = [sys.executable, *(TORCHRUN if processes == 2 else []), SCRIPT, folder, str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def num_steps(folder):
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_steps(folder, steps, process):
    deadline = time.monotonic() + 120
    while num_steps(folder) < steps:
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(folder, rank):
    return int(Path(f"{folder}-{rank}.pid").read_text())


def assert_stopped_and_goes_on(folder, process, steps, processes, signaled_after):
    output = process.communicate(timeout=400)[0]
    assert process.returncode == 0, output[-3000:]
    step = num_steps(folder)
    assert signaled_after <= step <= signaled_after + 2, "the step that ran, and one whose line was not seen"
    assert f"rlkit: stopped by SIGTERM after step {step}; go on with" in output and "--resume auto" in output
    assert output.count("rlkit: stopped by SIGTERM") == 1
    assert last_checkpoint(folder) == str(folder / f"checkpoint-{step}")

    resumed = start(folder, steps, processes)
    output = resumed.communicate(timeout=400)[0]
    assert resumed.returncode == 0, output[-3000:]
    assert f"rlkit: going on from {folder}/checkpoint-{step}" in output
    straight = start(folder.with_name("straight"), steps, processes)
    output = straight.communicate(timeout=400)[0]
    assert straight.returncode == 0, output[-3000:]
    assert [row["step"] for row in metrics(folder)] == list(range(1, steps + 1))
    assert ledger_rows(folder) == ledger_rows(folder.with_name("straight"))


@pytest.mark.slow
def test_sigterm_saves_and_resume_goes_on(tmp_path):
    folder = tmp_path / "run"
    process = start(folder, 8)
    wait_for_steps(folder, 3, process)
    process.terminate()
    assert_stopped_and_goes_on(folder, process, 8, 1, 3)


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes_stops_both(tmp_path):
    folder = tmp_path / "run"
    process = start(folder, 8, processes=2)
    wait_for_steps(folder, 3, process)
    os.kill(pid_of(folder, 1), signal.SIGTERM)
    assert_stopped_and_goes_on(folder, process, 8, 2, 3)


@pytest.mark.slow
def test_a_second_sigterm_ends_it_at_once(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    script = (
        "import sys, preempted_run; preempted_run.SECONDS_A_STEP = 20; preempted_run.main(sys.argv[1], '9')"
    )
    monkeypatch.setenv("PYTHONPATH", f"{SCRIPT.parent}:{os.environ.get('PYTHONPATH', '')}")
    process = subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.DEVNULL)
    while not Path(f"{folder}-grading").exists():  # which takes 20 s
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    time.sleep(1.0)
    process.terminate()  # passed on by a launcher: the same signal
    time.sleep(0.5)
    assert process.poll() is None
    time.sleep(1.5)
    process.terminate()
    assert process.wait(timeout=10) == -signal.SIGTERM


def test_the_handler_is_there_while_training_only(tmp_path):
    seen = []

    def looking(completions, **columns):
        seen.append(signal.getsignal(signal.SIGTERM))
        return [0.0] * len(completions)

    before = signal.getsignal(signal.SIGTERM)
    trainer = make_trainer(tmp_path, rewards=looking, max_steps=1)
    seen.clear()  # by the check before the model loads
    assert signal.getsignal(signal.SIGTERM) == before
    trainer.train()
    assert signal.getsignal(signal.SIGTERM) == before and before not in seen
    assert not trainer.preemption.stopped


def test_a_signal_in_this_process(tmp_path, capsys):
    def signaling(completions, trainer_state, **columns):
        if trainer_state.global_step == 1:
            signal.raise_signal(signal.SIGTERM)
        return [0.0] * len(completions)

    trainer = make_trainer(tmp_path, rewards=signaling, max_steps=9)
    trainer.train()
    assert trainer.preemption.stopped and trainer.state.global_step == 2
    assert last_checkpoint(tmp_path).endswith("checkpoint-2")
    assert "rlkit: stopped by SIGTERM after step 2" in capsys.readouterr().out
    again = make_trainer(tmp_path, max_steps=4)
    again.train(resume_from_checkpoint="auto")
    assert again.state.global_step == 4 and not again.preemption.stopped
