"""Guards how a program begins and ends: a mistake is one line, a crash keeps its traceback."""

import os
import subprocess
import sys

import pytest

BEGIN = "from rlkit.settings import program; program.begin()\n"


def run(code: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, env={**os.environ, **variables}
    )


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("raise ValueError('fill (pad) must be\\n  one of a, b')", "rlkit: fill (pad) must be one of a, b\n"),
        ("open('no/such/file')", "rlkit: [Errno 2] No such file or directory: 'no/such/file'\n"),
    ],
)
def test_a_mistake_is_one_line(code, line):
    done = run(code)
    assert (done.returncode, done.stderr, done.stdout) == (1, line, "")
    assert "Traceback" in run(code, RLKIT_TRACEBACK="1").stderr
    assert run(code, RANK="1").stderr == "", "the main process says it"


@pytest.mark.parametrize("code", ["1 / 0", "import no_such_module", "raise KeyError('x')", "assert False"])
def test_a_crash_keeps_its_traceback(code):
    done = run(code)
    assert done.returncode == 1 and done.stderr.startswith("Traceback")


def test_a_value_error_amid_the_training_keeps_its_traceback():
    """The frame is named as transformers' own is."""
    code = """
namespace = {"__name__": "transformers.trainer"}
exec("def train(step): step()", namespace)
def step(): raise ValueError("shapes do not match")
namespace["train"](step)
"""
    assert "Traceback" in run(code).stderr


def test_other_warnings_are_still_shown():
    code = """
import warnings
def old(): warnings.warn("`gradient_checkpointing_enable` is deprecated", FutureWarning)
old()
warnings.warn("something else is deprecated", FutureWarning)
exec("import warnings; warnings.warn('`is_gradient_checkpointing` is deprecated', FutureWarning)",
     {"__name__": "transformers.modeling_utils"})
"""
    shown = run(code).stderr
    assert "`gradient_checkpointing_enable`" in shown and "something else" in shown
    assert "`is_gradient_checkpointing`" not in shown


def test_one_process_of_several_leaves_without_the_interpreters_end():
    """There a thread of gloo's may abort it; what is registered to run at the end runs."""
    code = """
import atexit, torch
class Late:
    def __del__(self):
        print("taken down")
late = Late()
atexit.register(print, "saved")
program.leave()
print("alone: goes on")
from torch.testing._internal.distributed.fake_pg import FakeStore
torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
program.leave()
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "alone: goes on\nsaved\n"), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_is_freed_stays_with_the_process():
    code = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def left_of(size):
    before, block = resident(), libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    return resident() - before
given_back = left_of(2**25)
program.keep_memory()
print(given_back < 2**22, left_of(2**25) > 2**24)
"""
    assert run(code).stdout == "True True\n"
