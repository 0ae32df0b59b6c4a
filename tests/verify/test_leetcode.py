"""Guards rows in LeetCodeDataset's form: golds of many kinds earn 1, wrong programs 0, and why is told."""

from pathlib import Path

import pytest

from rewards.code import auto, humaneval
from rlkit.verify.formats.leetcode_prelude import PRELUDE

pytestmark = pytest.mark.usefixtures("sandbox")


def leetcode_rows() -> dict[str, tuple[str, str, str]]:
    """Name -> entry point, gold, test."""
    text = Path(__file__).with_name("leetcode_rows.txt").read_text()
    rows = {}
    for section in text.split("### ")[1:]:
        head, _, body = section.partition("\n")
        name, _, entry_point = head.partition(" = ")
        gold, _, tests = body.partition("---\n")
        lines = [line for line in tests.splitlines() if not line.startswith("#")]
        rows[name] = entry_point, gold, "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)
    return rows


ROWS = leetcode_rows()
ENTRY_POINTS, GOLDS, TESTS = map(list, zip(*ROWS.values(), strict=True))


@pytest.mark.parametrize("prompt", [PRELUDE, "What is asked, in words."])
def test_golds_earn_1_with_the_rows_prompt_and_without(prompt: str) -> None:
    logged: dict[str, list] = {}
    rewards = auto(
        [f"```python\n{gold}\n```" for gold in GOLDS],
        entry_point=ENTRY_POINTS,
        test=TESTS,
        prompts=[prompt] * len(ROWS),
        log_extra=logged.__setitem__,
    )
    failed = {
        name: why
        for name, reward, why in zip(ROWS, rewards, logged["reward_error"], strict=True)
        if reward != 1.0
    }
    assert failed == {}


def test_wrong_programs_earn_0_and_their_first_failure_is_told() -> None:
    wrong = "class Solution:\n    def __getattr__(self, name): return lambda *a, **k: 77"
    logged: dict[str, list] = {}
    rewards = auto([wrong] * len(ROWS), entry_point=ENTRY_POINTS, test=TESTS, log_extra=logged.__setitem__)
    assert rewards == [0.0] * len(ROWS)
    assert all("at " in why for why in logged["reward_error"])


def test_a_test_with_names_that_nothing_defines_says_so() -> None:
    logged: dict[str, list] = {}
    check = "def check(candidate):\n    assert equal_graphs(candidate(x = 1), graph([1]))\n"
    rewards = humaneval([GOLDS[0]], [check], ["Solution().f"], log_extra=logged.__setitem__)
    assert rewards == [None]
    assert logged["reward_error"] == [
        "the test uses equal_graphs, graph, which neither it nor the row's code_prompt defines"
    ]
