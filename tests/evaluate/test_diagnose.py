"""Guards the diagnosis: means by category, which have failed, and what cannot be judged."""

import json

import pytest
from typer.testing import CliRunner

from rlkit.cli import app
from rlkit.evaluate.diagnose import diagnose

ROWS = [
    {"skill": "add", "pass_rate": 1.0},
    {"skill": "add", "pass_rate": 0.5},
    {"skill": "carry", "pass_rate": 0.25},
    {"skill": "carry", "pass_rate": 0.0},
    {"skill": "carry", "pass_rate": None},
]


def test_categories_by_mean_worst_first():
    carry, add = diagnose(ROWS, "skill", 0.5)
    assert (carry.name, carry.rows, carry.accuracy, carry.failed) == ("carry", 2, 0.125, True)
    assert (add.name, add.rows, add.accuracy, add.failed) == ("add", 2, 0.75, False)
    assert carry.interval[0] <= 0.125 <= carry.interval[1]
    assert not diagnose(ROWS, "skill", 0.125)[0].failed  # at the threshold is not below it


def test_what_cannot_be_judged():
    for rows, by, message in [
        (ROWS, "topic", "row 0 has no 'topic'"),
        ([{"skill": "add"}], "skill", "has no 'pass_rate'.*rlkit score"),
        ([ROWS[-1]], "skill", "none of the 1 rows has a pass_rate"),
    ]:
        with pytest.raises(ValueError, match=message):
            diagnose(rows, by, 0.5)
    with pytest.raises(ValueError, match="threshold"):
        diagnose(ROWS, "skill", 0)


def test_the_command_writes_the_rows_of_what_failed(tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    words = ["diagnose", str(data), "--by", "skill", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, words).exit_code == 0
    failed = (tmp_path / "out" / "failed.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in failed] == ROWS[2:4]
    result = CliRunner().invoke(app, [*words, "--threshold", "0.1"])
    assert "no category of 'skill' is below it, the worst is carry at 0.125" in str(result.exception)
