"""What a process a case costs at least: forks of a bare Python that end at once, or run one small program.

    LD_BIND_NOW=1 python -I -S scripts/bench_fork.py

The least of 40 rounds of 25 forks, as other jobs lengthen the others; processor time of both processes.
"""

import os
import resource
import sys
from collections.abc import Callable

ROUNDS, FORKS = 40, 25
PROGRAM = compile("print(int(input()) ** 2)", "<program>", "exec")


def file(content: bytes) -> int:
    descriptor = os.memfd_create("case")
    os.write(descriptor, content)
    return descriptor


def run_program(given: int, output: int) -> None:
    os.dup2(given, 0)
    os.dup2(output, 1)
    exec(PROGRAM, {"__name__": "__main__"})
    sys.stdout.flush()


def used() -> list[float]:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return [
        *(1000 * (one.ru_utime + one.ru_stime) / FORKS for one in both),
        *(one.ru_minflt / FORKS for one in both),
    ]


def measure(child: Callable[[], None], given: int, output: int) -> list[float]:
    """Milliseconds of the parent and of a child, page faults of each, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        before = used()
        for _ in range(FORKS):
            for descriptor in (given, output):
                os.lseek(descriptor, 0, os.SEEK_SET)
            process = os.fork()
            if process == 0:
                child()
                os._exit(0)
            os.waitpid(process, 0)
        rounds.append([after - earlier for after, earlier in zip(used(), before, strict=True)])
    return min(rounds, key=lambda numbers: sum(numbers[:2]))


def main() -> None:
    given, output = file(b"7\n"), file(b"")
    for what, child in (("nothing", lambda: None), ("a program", lambda: run_program(given, output))):
        parent, own, faults, own_faults = measure(child, given, output)
        print(
            f"{what}: {parent + own:.2f} ms, {own:.2f} of them the child's; "
            f"page faults {faults:.0f} and {own_faults:.0f}",
            flush=True,
        )
    assert os.pread(output, 9, 0) == b"49\n"


main()
