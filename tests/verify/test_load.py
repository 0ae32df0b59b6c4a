"""What the machine does to a program is no wrong answer: its load, a failing sandbox, no descriptors left."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlkit.verify.cases import run_cases
from rlkit.verify.code import in_parallel, run_tests
from rlkit.verify.sandbox import Limits

pytestmark = pytest.mark.usefixtures("sandbox")
WORK = "import time\ndef work(s):\n    while time.process_time() < s: pass\n"
TIGHT = Limits(wall_seconds=1.2, cpu_seconds=2)


@pytest.fixture
def six_busy_processes() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def test_no_gold_earns_0_under_load(six_busy_processes: None) -> None:
    function = f"{WORK}def f(x):\n    work(0.6)\n    return x * x"
    script = f"{WORK}work(0.3)\nprint(int(input()) ** 2)"
    asserts = ["assert f(2) == 4", "assert f(3) == 9"]
    jobs = [
        *(lambda: run_tests(function, asserts, limits=TIGHT) for _ in range(2)),
        *(lambda: run_cases(script, ["2", "3"], ["4", "9"], limits=TIGHT) for _ in range(2)),
    ]
    outcomes = in_parallel(jobs)
    assert [outcome.reward(share=True) for outcome in outcomes if not outcome.not_run] == [1.0] * 4, outcomes


def test_slow_programs_earn_0_under_load(six_busy_processes: None) -> None:
    short = Limits(wall_seconds=0.4, cpu_seconds=1)
    for program in ("while True: pass", "import time\ntime.sleep(9)"):
        assert run_tests(program, ["assert f(2) == 4"], limits=short).reward(share=True) == 0.0
        assert run_cases(program, ["2"], ["4"], limits=short).reward(share=True) == 0.0


WITHOUT_DESCRIPTORS = """
import os, resource
from rlkit.verify.code import in_parallel, run_cases, run_tests
from rlkit.verify.sandbox import isolation
isolation()
for limit in range(len(os.listdir("/proc/self/fd")) + 2, 60, 4):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
    by_tests = run_tests("def f(x): return x * x", ["assert f(2) == 4"])
    for outcome in (by_tests, run_cases("print(4)", [""], ["4"])):
        reward = outcome.reward(share=True)
        print("0" if reward == 0 else "not run" if reward is None and outcome.not_run else reward)
"""


def test_without_descriptors_nothing_is_a_wrong_answer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=120
    )
    assert set(done.stdout.splitlines()) == {"not run", "1.0"}, done.stdout + done.stderr


FAILING_BWRAP = """#!/bin/sh
if [ -e {folder}/tried ]; then exit 1; fi
touch {folder}/tried
exec {bwrap} "$@"
"""


def test_a_sandbox_that_does_not_start_is_no_wrong_answer(tmp_path: Path) -> None:
    bwrap = next(
        path for path in ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap") if os.path.exists(path)
    )
    (tmp_path / "bwrap").write_text(FAILING_BWRAP.format(folder=tmp_path, bwrap=bwrap))
    (tmp_path / "bwrap").chmod(0o755)
    script = (
        "from rewards.code import auto\n"
        "rows = {'test_list': [['assert f(2) == 4'], None]}\n"
        "rows |= {'inputs': [None, ['2']], 'outputs': [None, ['4']]}\n"
        "logged = {}\n"
        "print(auto(['def f(x): return 4', 'print(4)'], **rows, log_extra=logged.__setitem__,"
        " log_metric=logged.__setitem__), logged)"
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("[None, None]"), done.stdout + done.stderr
    assert "'code/not_run': 2" in done.stdout and "the sandbox did not start" in done.stdout
