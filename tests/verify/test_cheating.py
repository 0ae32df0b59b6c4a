"""Hostile programs earn nothing, leave nothing behind, and do not disturb the next one."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from rlkit.verify.code import run_cases, run_tests
from rlkit.verify.sandbox import Limits

pytestmark = pytest.mark.usefixtures("sandbox")
SHORT = Limits(wall_seconds=2.5)
ASSERTS = ["assert f(2) == 4", "assert f(3) == 9"]
CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9\n"
HONEST = "def f(x): return x * x"


def hostile_programs() -> dict[str, str]:
    text = Path(__file__).with_name("hostile.txt").read_text()
    sections = [section.partition("\n") for section in text.split("### ")[1:]]
    return {name: program.replace("#\\0", "#\0") for name, _, program in sections}


HOSTILE = hostile_programs()


def fails(name: str) -> bool:
    outcome = run_tests(HOSTILE[name], ASSERTS, limits=SHORT)
    return outcome.passed == 0 and outcome.reward(share=True) == 0.0


def test_hostile_programs_fail_every_test_and_leave_nothing(nothing_left: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        earned = [name for name, failed in zip(HOSTILE, pool.map(fails, HOSTILE), strict=True) if not failed]
    assert earned == []
    assert run_tests(HONEST, ASSERTS).reward(share=False) == 1.0


@pytest.mark.slow  # all of them: minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_program_fails_alone_and_leaves_nothing(name: str, nothing_left: None) -> None:
    assert fails(name)
    assert run_tests(HOSTILE[name], [CHECK], entry_point="f", limits=SHORT).passed == 0
    assert run_tests(HONEST, ASSERTS).reward(share=False) == 1.0


CASES = (["2\n", "3\n"], ["4\n", "9\n"])


@pytest.mark.slow  # all of them: minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_script_fails_every_case_and_leaves_nothing(name: str, nothing_left: None) -> None:
    call = "\ntry: print(f(int(input())))\nexcept NameError: pass\n"
    if name in ("coroutine", "generator"):
        call = ""
    assert run_cases(HOSTILE[name] + call, *CASES, all_or_nothing=True, limits=SHORT).passed == 0


@pytest.mark.parametrize(
    "program",
    [
        "import os\nfor n in range(3, 64):\n try: print(os.pread(n, 99, 0).decode())\n except OSError: pass",
        "for n in range(9):\n try: print(open(f'/proc/self/fd/{n}').read())\n except OSError: pass",
        "import glob\nfor p in glob.glob('/tmp/*') + glob.glob('/home/**'): print(open(p).read())",
        "print(4); import os; os._exit(1)",
        "print(4); print('x')",
        "print(4); raise ValueError",
    ],
)
def test_the_expected_output_cannot_be_read(program: str, nothing_left: None) -> None:
    assert run_cases(program, *CASES, limits=SHORT).passed == 0


def test_a_killed_harness_leaves_no_process() -> None:
    script = (
        "from rlkit.verify.code import run_tests; from rlkit.verify.sandbox import Limits\n"
        "run_tests('import ctypes, time\\nctypes.CDLL(None).prctl(1, 0)\\nwhile 1: time.sleep(1)', "
        "['assert f(2) == 4'], limits=Limits(wall_seconds=100))"
    )
    harness = subprocess.Popen([sys.executable, "-c", script])
    processes: list[psutil.Process] = []
    for _ in range(1000):
        processes = psutil.Process(harness.pid).children(recursive=True)
        if sum("python" in process.name() for process in processes) == 2:
            break
        time.sleep(0.05)
    time.sleep(0.5)  # the program runs by now
    assert len(processes) == 4  # two sandboxes: bubblewrap and what it runs
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
