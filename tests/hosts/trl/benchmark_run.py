"""A run with benchmarks and one without under torchrun, for test_benchmarks.py: FOLDER."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from test_benchmarks import evaluations, make_digits
from tiny_trl import GROUPS, NUM_GENERATIONS, make_trainer, weights

from rlkit.hosts.trl.benchmarks import BenchmarkCallback
from rlkit.settings import program

RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def run(folder: Path, name: str) -> dict:
    trainer = make_trainer(
        folder / name,
        "dapo",
        max_steps=2,
        per_device_train_batch_size=GROUPS * NUM_GENERATIONS // WORLD,
    )
    if name == "watched":
        # Three chunks for two processes: one of them repeats a chunk.
        task = make_digits(folder / str(RANK), num=20)
        callback = BenchmarkCallback(trainer, [task], 1, temperature=0, prompt_form="plain")
        assert callback.plans[0].num_chunks == 3
        trainer.add_callback(callback)
    trainer.train()
    trainer.save_model(str(folder / "model"))
    total = {key: float(tensor.double().abs().sum()) for key, tensor in weights(trainer).items()}
    evaluated = [
        {key: value for key, value in row.items() if "seconds" not in key} for row in evaluations(trainer)
    ]
    return {"weights": total, "evaluated": evaluated}


def main(folder: str) -> None:
    torch.set_num_threads(1)
    (Path(folder) / str(RANK)).mkdir(parents=True)
    results = {name: run(Path(folder), name) for name in ("plain", "watched")}
    (Path(folder) / f"{RANK}.json").write_text(json.dumps(results))
    program.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
