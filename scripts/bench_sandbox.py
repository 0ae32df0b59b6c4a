"""Code gradings a second, some of hostile programs, and what they leave behind: it should be nothing.

    python scripts/bench_sandbox.py --count 5000
    python scripts/bench_sandbox.py --count 500 --hostile-every 0    # honest programs only
    python scripts/bench_sandbox.py --count 100 --cases 100          # programs of 100 inputs and outputs

Honest programs are HumanEval's golds where RLKIT_DATA names the folder of the data, else one that squares a
number; hostile ones are those of tests/verify/hostile.txt, with 2 s each, or hostile_cases.txt and
hostile_plain.txt with --cases. As many run at a time as there are cores. *Processor* is what all processes of
a grading took. It exits with 1 where a verdict is wrong or anything is left.
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

from rlkit.verify.code import Outcome, complete, in_parallel, run_cases, run_tests
from rlkit.verify.sandbox import Limits

PROGRAMS = Path(__file__).parents[1] / "tests" / "verify"
HOSTILE_LIMITS = Limits(wall_seconds=2)
ASSERTS = ["assert f(2) == 4", "assert f(3) == 9"]
WARM_UP = 20

Job = Callable[[], Outcome]


def hostile_programs(name: str) -> list[str]:
    text = (PROGRAMS / name).read_text().replace("#\\0", "#\0")
    return [section.partition("\n")[2] for section in text.split("### ")[1:]]


def hostile_jobs() -> list[Job]:
    programs = hostile_programs("hostile.txt")
    return [partial(run_tests, program, ASSERTS, limits=HOSTILE_LIMITS) for program in programs]


def case_jobs(num_cases: int) -> tuple[list[Job], list[Job]]:
    """Honest and hostile scripts that square a number."""
    cases = [str(i) for i in range(2, num_cases + 2)], [str(i * i) for i in range(2, num_cases + 2)]
    given, answer = "x = int(input())", "print(x * x if found else 0)"
    hostile = [f"{program}\n{given}\n{answer}" for program in hostile_programs("hostile_cases.txt")]
    hostile += [f"{given}\n{program}\n{answer}" for program in hostile_programs("hostile_plain.txt")]
    return [partial(run_cases, "print(int(input()) ** 2)", *cases)], [
        partial(run_cases, program, *cases, limits=HOSTILE_LIMITS) for program in hostile
    ]


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
    parser.add_argument("--cases", type=int, default=0, help="Inputs and outputs a program; 0: functions.")
    args = parser.parse_args()
    both = case_jobs(args.cases) if args.cases else (honest_jobs(), hostile_jobs())
    honest, hostile = map(itertools.cycle, both)
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
