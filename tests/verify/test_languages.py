"""Languages beside Python where their compiler is not installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("sandbox")
SCRIPT = """
from rewards.code import auto
logged = {}
rows = {"inputs": [["2"], ["2"], ["2"]], "outputs": [["4"], ["4"], ["4"]]}
programs = ["```cpp\\nint main() {}\\n```", "```js\\n0\\n```", "```python\\nprint(4)\\n```"]
print(auto(programs, **rows, log_extra=logged.__setitem__, log_metric=logged.__setitem__))
print(*logged["reward_error"], logged["code/not_run"], sep="\\n")
"""


def test_an_absent_compiler_is_one_clear_line_and_no_wrong_answer(tmp_path: Path) -> None:
    bwrap = shutil.which("bwrap")
    assert bwrap is not None
    (tmp_path / "bwrap").symlink_to(bwrap)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    rewards, cpp, javascript, python, not_run = done.stdout.splitlines()
    assert (rewards, python, not_run) == ("[None, None, 1.0]", "None", "2")
    assert cpp.startswith("not run: cpp programs need g++") and cpp.endswith("(`apt install g++`)")
    assert javascript.startswith("not run: javascript programs need node")
    assert javascript.endswith("(`apt install nodejs`)")
