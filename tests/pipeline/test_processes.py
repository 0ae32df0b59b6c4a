"""Guards the end of a stage: what it started may finish its work."""

import time
from pathlib import Path

from rlkit.pipeline import processes


def test_the_end_waits_for_children_that_outlive_their_parent(tmp_path: Path):
    """As accelerate, which ends at once while the training under it saves a checkpoint."""
    child = "trap 'sleep 0.5; touch saved; exit' TERM; touch begun; while :; do sleep 0.1; done"
    command = ["bash", "-c", f"cd {tmp_path}; ({child}) & wait"]
    process = processes.start(command, tmp_path / "log.txt", {})
    while not (tmp_path / "begun").exists():
        time.sleep(0.05)
    processes.end(process)
    assert (tmp_path / "saved").exists()
    processes.end(process)  # all are over: nothing to do
