"""What choosing prompts costs from 10 thousand to 10 million prompts, on the simulator.

    python scripts/bench_selection.py --json OUT
    python scripts/bench_selection.py --presets mopps,pcl --sizes 10000,1000000 --steps 10

Each preset and size runs in a process of its own, one thread. *Ready* is making the prompts and their
statistics and taking them up, without imports; *MB* the most memory the process ever held (10^6 bytes, Python
and the simulator's own arrays included); *ms* the median step after `WARM_UP`: proposing 512 prompts from
8,192 candidates, observing their groups, and the metrics, and in brackets its time on the processor, which
other jobs on the machine disturb less. Rollouts are not counted. Every preset gets 16
candidates a place, also those that take the first of them. Value models see the text of the rows,
or `--features`; the gold is the row's `pass_rate`, read by its form.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.simulated.host import SimulationConfig, peak_resident_mb, prepare
from rlkit.settings.config import CurriculumConfig

GROUPS, CANDIDATES = 512, 8192
WARM_UP = 3
SIZES = "10000,100000,1000000,10000000"


def measure(preset: str, size: int, num_steps: int, features: str) -> dict:
    """Ready seconds, milliseconds of every step after the warm-up (real, and on the processor), megabytes."""
    text = (
        {"value_features": features, "value_gold_column": "pass_rate"}
        if "value_features" in PRESETS[preset].numbers
        else {}
    )
    curriculum = build_curriculum(CurriculumConfig(preset, candidates=CANDIDATES // GROUPS, **text))
    config = SimulationConfig(num_prompts=size, groups_per_step=GROUPS)
    start = time.perf_counter()
    host = prepare(curriculum, config)
    ready = time.perf_counter() - start
    rounds = next(source for source in curriculum.sources if isinstance(source, Rounds))
    real, processor = [], []
    for _ in range(WARM_UP + num_steps):
        times = [_now()]
        proposal = rounds.propose(GROUPS, np.empty(0, dtype=np.int64))
        times.append(_now())
        groups = host.rollout(proposal)
        times.append(_now())
        rounds.observe(groups, proposal)
        curriculum.metrics()
        curriculum.step += 1
        times.append(_now())
        step = 1000 * (times[3] - times[2] + times[1] - times[0])
        real.append(step[0])
        processor.append(step[1])
    return {
        "ready_seconds": ready,
        "resident_mb": peak_resident_mb(),
        "step_ms": real[WARM_UP:],
        "step_processor_ms": processor[WARM_UP:],
    }


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def measure_apart(preset: str, size: int, num_steps: int, features: str) -> dict:
    """As `measure`, in a process of its own."""
    command = [sys.executable, __file__, "--child", preset, str(size), str(num_steps), features]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def table(found: dict[str, dict[str, dict]]) -> str:
    """Markdown: a row a preset; ready s, MB and ms (on the processor) of each size; the last size's by the
    first's."""
    sizes = list(next(iter(found.values())))
    head = ["preset", *(f"{int(size):,}: s / MB / ms" for size in sizes), "last / first"]
    rows = [head, ["---"] * len(head)]
    for preset, by_size in found.items():
        cells = [
            f"{one['ready_seconds']:.1f} / {one['resident_mb']:.0f} / {np.median(one['step_ms']):.1f} "
            f"({np.median(one['step_processor_ms']):.1f})"
            for one in by_size.values()
        ]
        last, first = (np.median(by_size[size]["step_processor_ms"]) for size in (sizes[-1], sizes[0]))
        rows.append([preset, *cells, f"{last / first:.2f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presets", default=",".join(PRESETS), help="Separated by commas.")
    parser.add_argument("--sizes", default=SIZES, help="Prompts in the pool, separated by commas.")
    parser.add_argument("--steps", type=int, default=30, help="Measured steps.")
    parser.add_argument(
        "--features", default="text", help="What value models see of a row: text,answer,columns."
    )
    parser.add_argument("--json", type=Path, help="Write every number here.")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        preset, size, num_steps, features = args.child
        print(json.dumps(measure(preset, int(size), int(num_steps), features)))
        return
    found: dict[str, dict[str, dict]] = {}
    for preset in args.presets.split(","):
        found[preset] = {
            size: measure_apart(preset, int(size), args.steps, args.features)
            for size in args.sizes.split(",")
        }
        print(f"{preset} done", file=sys.stderr)
    print(table(found))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
