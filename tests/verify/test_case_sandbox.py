"""A sandbox serves one program after the other, until something has touched it."""

from collections.abc import Iterator

import psutil
import pytest

from rlkit.verify.case_sandbox import Stock, stock
from rlkit.verify.cases import run_cases
from rlkit.verify.inside.watch import NotRunError
from rlkit.verify.languages import Runnable
from rlkit.verify.runner import Runner
from rlkit.verify.sandbox import Limits

pytestmark = pytest.mark.usefixtures("sandbox")
NAMESPACE = "import os\nprint(os.readlink('/proc/self/ns/pid'))"


@pytest.fixture(autouse=True)
def own_stock(sandbox: None, nothing_left: None) -> Iterator[None]:
    sandboxes = Stock()
    token = stock.set(sandboxes)
    yield
    stock.reset(token)
    sandboxes.close()


def output(program: str, user: str = "program", limits: Limits | None = None) -> str:
    with Runner(program, Runnable(limits or Limits()), user) as runner:
        return runner.run("").output


def test_programs_share_a_sandbox_and_nothing_else() -> None:
    first = output(NAMESPACE)
    assert first.startswith("pid:") and output("import builtins\nbuiltins.x = 1") == ""
    assert output(f"print('x' in globals() or hasattr(__builtins__, 'x'))\n{NAMESPACE}") == f"False\n{first}"
    assert output("print(") == ""  # does not compile
    assert output(NAMESPACE, limits=Limits(wall_seconds=3, cpu_seconds=2)) == first


def test_a_sandbox_that_was_touched_serves_no_other_program() -> None:
    first = output(NAMESPACE)
    assert output(f"{NAMESPACE}\nopen('/tmp/x', 'w')") == first
    assert output(NAMESPACE) != first


def test_checkers_and_other_limits_have_sandboxes_of_their_own() -> None:
    seen = {
        output(NAMESPACE),
        output(NAMESPACE, "checker"),
        output(NAMESPACE, limits=Limits(file_bytes=1 << 20)),
    }
    assert len(seen) == 3


def test_a_sandbox_that_was_killed_while_it_waited_is_the_machines_fault() -> None:
    output(NAMESPACE)
    for process in psutil.Process().children():
        if process.name() == "bwrap":
            process.kill()
    with pytest.raises(NotRunError, match="ended before the program"):
        output(NAMESPACE)
    assert output(NAMESPACE).startswith("pid:")


def test_two_programs_at_a_time_are_in_two_sandboxes() -> None:
    with Runner(NAMESPACE, Runnable(Limits())) as one, Runner(NAMESPACE, Runnable(Limits())) as other:
        assert one.run("").output != other.run("").output


def test_cases_that_run_ahead_count_one_by_one() -> None:
    """Where the third of eight touches the sandbox, or the fourth's time is over, it says of no other."""
    cases = [str(x) for x in range(8)], [str(x * x) for x in range(8)]
    square = "x = int(input())\nprint(x * x)"
    touching = f"{square}\nif x == 3: open('/tmp/x', 'w')"
    assert run_cases(touching, *cases).passed == 8
    slow = run_cases(f"import time\ntime.sleep(0.3)\n{square}", *cases, limits=Limits(wall_seconds=1))
    assert slow.passed == 3 and slow.why == "case 4: the wall time is over"
    failing = run_cases(f"{square}\nassert x != 5", *cases)
    assert failing.passed == 7 and failing.why == "case 6: exit code 1"
