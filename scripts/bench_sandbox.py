"""Code gradings a second, some of hostile programs, and what they leave behind: it should be nothing.

    python scripts/bench_sandbox.py --count 5000
    python scripts/bench_sandbox.py --count 500 --hostile-every 0    # honest programs only

Honest programs are HumanEval's golds where RLKIT_DATA names the folder of the data, else one that squares a
number; hostile ones are those of tests/verify/hostile.txt, with 2 s each. As many run at a time as there are
cores. *Processor* is what all processes of a grading took. It exits with 1 where a verdict is wrong or
anything is left.
"""

import argparse
import gzip
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from rlkit.verify.code import Outcome, complete, in_parallel, run_tests
from rlkit.verify.sandbox import Limits

HOSTILE = Path(__file__).parents[1] / "tests" / "verify" / "hostile.txt"
HOSTILE_LIMITS = Limits(wall_seconds=2)
ASSERTS = ["assert f(2) == 4", "assert f(3) == 9"]
WARM_UP = 20

Job = Callable[[], Outcome]


def hostile_jobs() -> list[Job]:
    text = HOSTILE.read_text().replace("#\\0", "#\0")
    programs = [section.partition("\n")[2] for section in text.split("### ")[1:]]
    return [partial(run_tests, program, ASSERTS, limits=HOSTILE_LIMITS) for program in programs]


def honest_jobs() -> list[Job]:
    if "RLKIT_DATA" not in os.environ:
        return [partial(run_tests, "def f(x): return x * x", ASSERTS)]
    with gzip.open(Path(os.environ["RLKIT_DATA"], "humaneval", "HumanEval.jsonl.gz"), "rt") as file:
        rows = [json.loads(line) for line in file]
    return [
        partial(
            run_tests,
            complete(row["canonical_solution"], row["entry_point"], row["prompt"]),
            [row["test"]],
            [row["prompt"]],
            row["entry_point"],
        )
        for row in rows
    ]


def held() -> dict[str, int]:
    """What a leak would make grow; memory in MB."""
    return {
        "processes": len(psutil.Process().children(recursive=True)),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "files": len(os.listdir(tempfile.gettempdir())),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "resident_mb": psutil.Process().memory_info().rss // 10**6,
    }


def processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="Gradings.")
    parser.add_argument("--hostile-every", type=int, default=5, help="One grading in so many; 0: none.")
    args = parser.parse_args()
    honest, hostile = itertools.cycle(honest_jobs()), itertools.cycle(hostile_jobs())
    is_hostile = [args.hostile_every > 0 and i % args.hostile_every == 0 for i in range(args.count)]
    jobs = [next(hostile) if bad else next(honest) for bad in is_hostile]
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        in_parallel(jobs[:WARM_UP])
        before, start, used = held(), time.perf_counter(), processor_seconds()
        outcomes = in_parallel(jobs)
        seconds, used, after = time.perf_counter() - start, processor_seconds() - used, held()
        tempfile.tempdir = None
    rewards = [outcome.reward(share=True) for outcome in outcomes]
    earned = sum(bad and reward != 0.0 for reward, bad in zip(rewards, is_hostile, strict=True))
    failed = sum(not bad and reward != 1.0 for reward, bad in zip(rewards, is_hostile, strict=True))
    print(
        f"{args.count} gradings, {sum(is_hostile)} hostile; {earned} hostile ones earned, "
        f"{failed} honest ones failed"
    )
    print(f"{args.count / seconds:.1f} a second, {1000 * used / args.count:.0f} ms of processor each")
    print(f"held before: {before}\nheld after:  {after}")
    left = any(after[key] > before[key] for key in before if key != "resident_mb")
    sys.exit(1 if earned or failed or left or after["resident_mb"] > before["resident_mb"] + 50 else 0)


if __name__ == "__main__":
    main()
