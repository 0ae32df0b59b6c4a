"""Guards rows in LeetCodeDataset's form: golds of many kinds earn 1, wrong programs 0, and why is told."""

from pathlib import Path

import pytest

from rewards.code import auto
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
    whole = {
        "function_name_of_a_method",
        "plain_function_around_the_class",
    }  # no class: LeetCode's names not given
    failed = {
        name: why
        for name, reward, why in zip(ROWS, rewards, logged["reward_error"], strict=True)
        if reward != 1.0
    }
    assert failed == {} and whole <= ROWS.keys()
