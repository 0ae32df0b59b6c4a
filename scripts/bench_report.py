"""What the page of a run weighs and takes: `rlkit report` on runs that the simulator wrote.

    .venv/bin/python scripts/bench_report.py
    .venv/bin/python scripts/bench_report.py --steps 10000 --groups 16 --out runs/bench_report

A run has a ledger by the ledger's own writer, `metrics.jsonl`, held-out accuracy every ten steps, and
completions of random words. Prints seconds to write the page, its bytes, and the bytes of each part.
"""

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from rlkit.curriculum.presets import build_curriculum, resolve_config
from rlkit.hosts.simulated.host import SimulationConfig, peak_resident_mb, prepare, run
from rlkit.record.completions import CompletionLog, everything, extremes
from rlkit.record.ledger import Ledger, StepLog
from rlkit.record.pool_table import write_pool
from rlkit.report.page import to_json, write_page
from rlkit.report.run_data import read_runs
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Batch

CHOOSE = {"extremes": extremes, "all": everything}


class Recorder:
    """Writes a batch as a trainer does: the ledger, and completions of random words.

    Args:
        words: of a completion.
    """

    def __init__(self, folder: Path, config: CurriculumConfig, simulation: SimulationConfig, words: int):
        self.config, self.simulation, self.words = config, simulation, words
        num_prompts = simulation.num_prompts or 1000
        self.key_N = np.random.default_rng(0).permutation(num_prompts).astype(np.uint64)
        self.ledger = Ledger(folder / "ledger", self.key_N)
        self.completions = CompletionLog(folder, config.completions_mb * 1e6)
        self.rng = np.random.default_rng(1)

    def write(self, batch: Batch) -> None:
        self.ledger.step = self.ledger.generation + 1
        if self.config.keep_completions != "none":
            self.completions.write(self._rows(batch), self.ledger.step / self.simulation.num_steps)
        self.ledger.write(batch)

    def _rows(self, batch: Batch) -> list[dict]:
        groups, key_P = batch.groups, self.key_N[batch.groups.index_P]
        kept = extremes(batch, key_P) if self.config.keep_completions == "extremes" else everything(batch)
        return [
            {
                "generation": self.ledger.generation,
                "step": self.ledger.step,
                "index": int(groups.index_P[group]),
                "key": int(key_P[group]),
                "prompt": f"What is {groups.index_P[group]} + 1?",
                "gold": str(groups.index_P[group] + 1),
                "completion": " ".join(self.rng.integers(10**6, size=self.words).astype(str)),
                "tokens": int(groups.length_PG[group, place]),
                "signal": float(groups.signal_PG[group, place]),
                "reward": float(groups.reward_PG[group, place]),
                "rewards": [("accuracy", float(groups.signal_PG[group, place])), ("format", 1.0)],
            }
            for group, places in kept
            for place in places
        ]


def write_run(
    folder: Path, config: CurriculumConfig, simulation: SimulationConfig, words: int = 100
) -> Recorder:
    """A run in `folder` as a trainer leaves it, without checkpoints."""
    config = replace(config, curriculum_seed=simulation.seed)
    curriculum = build_curriculum(config)
    host = prepare(curriculum, simulation)
    recorder = Recorder(folder, config, simulation, words)
    write_pool(folder, curriculum.pool, with_prompts=config.keep_completions != "none")
    metrics, heldout = StepLog(folder / "metrics.jsonl"), StepLog(folder / "heldout.jsonl", -1)
    for row in run(curriculum, host, recorder):
        if row["step"] % 10 == 1:
            heldout.write({"step": row["step"], "accuracy": row["accuracy"]})
        metrics.write({name: value for name, value in row.items() if name != "accuracy"})
    recorder.ledger.flush()
    recorder.completions.flush()
    settings = resolve_config(config).numbers()
    (folder / "config.yaml").write_text(json.dumps({"curriculum": settings}))  # JSON is YAML
    return recorder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--groups", type=int, default=64, help="groups of a step")
    parser.add_argument("--prompts", type=int, default=20_000, help="prompts in the pool")
    parser.add_argument("--runs", type=int, default=1, help="runs side by side, with seeds from 0 on")
    parser.add_argument("--curriculum", default="rlkit", help="a preset")
    parser.add_argument("--keep_completions", default="extremes", choices=("none", *CHOOSE))
    parser.add_argument("--words", type=int, default=100, help="words of a completion")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs and the page here")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp())
    config = CurriculumConfig(arguments.curriculum, keep_completions=arguments.keep_completions)
    folders = []
    for seed in range(arguments.runs):
        simulation = SimulationConfig(
            num_prompts=arguments.prompts,
            num_steps=arguments.steps,
            groups_per_step=arguments.groups,
            seed=seed,
        )
        folders.append(out / f"run-{seed}")
        write_run(folders[-1], config, simulation, arguments.words)
    start, processor_start = time.perf_counter(), time.process_time()
    runs = read_runs(folders)
    read_seconds = time.perf_counter() - start
    page = out / "report" / "index.html"
    write_page(runs, page)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor_start
    print(
        f"{arguments.runs} x {arguments.steps} steps x {arguments.groups} groups: page of "
        f"{page.stat().st_size / 1e6:.2f} MB in {seconds:.1f} s (reading {read_seconds:.1f} s; "
        f"{processor:.1f} s of a processor), at most {peak_resident_mb():.0f} MB in memory"
    )
    parts = {name: len(to_json(value)) / 1e3 for name, value in runs[0].items()}
    largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
    print("kB of a run: " + ", ".join(f"{name} {size:.0f}" for name, size in largest))
    if arguments.out is None:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
