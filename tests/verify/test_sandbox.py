"""Programs run isolated and within their limits, and nothing is left of them."""

import math
import os
import time
from pathlib import Path

import pytest

from rlkit.verify.sandbox import Limits, ProgramError, run_function

pytestmark = pytest.mark.usefixtures("sandbox")
SHORT, AMPLE = Limits(wall_seconds=0.5), Limits(wall_seconds=60)


def test_a_function_gives_its_plain_value() -> None:
    assert run_function("def f(x, y): return x + y", "f", [2, 3]) == 5
    values = [None, True, 2**200, -1.5, 2j, "\u00e9\ud800", b"\0", [1, (2,)], {(1, 2): {3}}, frozenset({4})]
    assert run_function("def f(x): return x", "f", [values]) == values
    assert math.isnan(run_function("def f(): return float('nan')", "f", []))


def test_subclasses_arrive_as_their_base() -> None:
    program = "class L(list):\n    __eq__ = lambda s, o: True\ndef f(): return L([1])"
    value = run_function(program, "f", [])
    assert type(value) is list and value == [1] and value != [2]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def f(x): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def g(x): pass", "KeyError"),
        ("def f(x: return", "SyntaxError"),
        ("def f(x): return object()", "object is not a plain value"),
        ("def f(x):\n while True: pass", "wall time"),
        ("def f(x):\n import time; time.sleep(100)", "wall time"),
        ("def f(x): return bytearray(4 << 30)", "MemoryError"),
        ("def f(x): return 'a' * (64 << 20)", "a message of"),
        ("def f(x):\n r = []\n for _ in range(200): r = [r]\n return r", "nested more than"),
        ("import os; os._exit(0)", "the channel closed"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("def f(x):\n import os; return os.fork()", "PermissionError"),
        ("def f(x): return open('/x', 'w')", "Read-only"),
        ("def f(x): return open('/dev/shm/x', 'w')", "Read-only"),
        ("def f(x): return open('/tmp/x', 'wb').write(bytes(17 << 20))", "OSError"),
        (
            "import threading, time\ndef f(x):\n threading.stack_size(32768)\n"
            " while True: threading.Thread(target=time.sleep, args=(99,)).start()",
            "thread",
        ),
    ],
)
def test_what_goes_wrong_in_a_program_is_named(program: str, reason: str) -> None:
    with pytest.raises(ProgramError, match=reason):
        run_function(program, "f", [1], SHORT if reason == "wall time" else AMPLE)


def test_the_time_limit_is_kept() -> None:
    start = time.monotonic()
    with pytest.raises(ProgramError):
        run_function("while True: pass", "f", [], Limits(wall_seconds=0.5))
    assert time.monotonic() - start < 5


def test_a_program_sees_neither_files_nor_processes_nor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "1")
    program = (
        "import os\ndef f(paths):\n"
        " return [p for p in paths if os.path.exists(p)], [p for p in os.listdir('/proc') if p.isdigit()], "
        "sorted(os.environ), os.listdir('/tmp')"
    )
    paths = [str(Path(__file__).parent), str(Path.home() / ".bashrc"), "/etc/passwd", os.getcwd()]
    seen, processes, environment, temporary = run_function(program, "f", [paths])
    assert seen == [] and processes == ["1"] and temporary == [] and "SECRET_TOKEN" not in environment


def test_an_argument_that_is_not_plain_is_the_callers_error() -> None:
    with pytest.raises(TypeError, match="object is not a plain value"):
        run_function("def f(x): return x", "f", [object()])
