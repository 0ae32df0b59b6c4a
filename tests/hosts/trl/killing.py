"""Kills a run again and again with SIGKILL, for test_kills.py: killing.py FOLDER NUM_KILLS SEED.

Each run is a process of its own, forked from this one once the libraries are imported, so that a start costs
a fraction of a second. Half of the kills come at a random moment, half while a checkpoint is being written.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from tiny_trl import by_place, make_trainer, metrics, share_of_ones, weights

from rlkit import CurriculumConfig
from rlkit.record.checkpoint import last_checkpoint
from rlkit.record.manifest import checkpoints, is_committed

STEPS = 60
SETTINGS = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 2}
SETTINGS |= {"learning_rate": 1e-3}
LONGEST = 2.0
"""Seconds after which a random kill comes at the latest."""
MOST_STEPS = 1
WITHIN = 0.03
"""Seconds that a checkpoint of this run takes to write, about."""


def train(folder: Path) -> None:
    torch.set_num_threads(1)
    curriculum = CurriculumConfig("rlkit", signal_max=2.0)
    trainer = make_trainer(folder, curriculum, [by_place(), share_of_ones], **SETTINGS)
    trainer.train(resume_from_checkpoint="auto")
    torch.save(weights(trainer), folder / "weights.pt")


def fork(folder: Path) -> int:
    pid = os.fork()
    if pid == 0:
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 1
        try:
            train(folder)
            code = 0
        finally:
            os._exit(code)
    return pid


def is_saving(folder: Path, seen: set[str]) -> bool:
    return any(path.name not in seen and not is_committed(path) for path in checkpoints(folder))


def steps_written(folder: Path) -> int:
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill(folder: Path, kind: str, rng: random.Random) -> dict:
    """Starts the run where it was, and kills it. Says when, and what stood then."""
    seen = {path.name for path in checkpoints(folder)}
    before = last_checkpoint(folder)
    pid, start = fork(folder), time.monotonic()
    if kind == "random":  # some steps later at the latest, so that a fast machine is not done before the last
        end, enough = start + rng.uniform(0.1, LONGEST), steps_written(folder) + rng.randint(0, MOST_STEPS)
        while time.monotonic() < end and steps_written(folder) <= enough:
            time.sleep(0.0005)
    else:
        while not is_saving(folder, seen) and time.monotonic() - start < 30:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, WITHIN))
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    whole = last_checkpoint(folder)
    log = folder / "metrics.jsonl"  # not there yet after an early kill, or ending in half a line
    rows = metrics(folder) if log.exists() and log.read_text().endswith("\n") else []
    return {
        "kind": kind,
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "seconds": round(time.monotonic() - start, 3),
        "resumed_from": before and Path(before).name,
        "whole": whole and Path(whole).name,
        "steps_done": rows[-1]["step"] if rows else 0,
        "cut_short": [path.name for path in checkpoints(folder) if not is_committed(path)],
    }


def main(folder: Path, num_kills: int, seed: int) -> None:
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    kinds = ["random", "saving"] * (num_kills // 2)
    kills = [kill(folder / "killed", kind, rng) for kind in kinds]
    codes = {}
    for name in ("killed", "straight"):
        _, status = os.waitpid(fork(folder / name), 0)
        codes[name] = os.waitstatus_to_exitcode(status)
    (folder / "report.json").write_text(json.dumps({"kills": kills, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
