"""Guards what recipes/sft.py and dpo.py read: rows in TRL's formats, and checkpoints cut short by a kill."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "recipes"))

from training_files import load_rows, newest_checkpoint

FORMS = (("prompt", "completion"), ("messages",))


def write(path: Path, *rows: dict) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def test_the_columns_of_one_form_stay(tmp_path):
    row = {"prompt": "a", "completion": "b", "reward": 1.0}
    assert load_rows(write(tmp_path / "a.jsonl", row), FORMS) == [{"prompt": "a", "completion": "b"}]
    talk = {"messages": [], "tools": [{"name": "tap"}], "goal": "wifi"}
    assert load_rows(write(tmp_path / "b.jsonl", talk), FORMS) == [{"messages": [], "tools": talk["tools"]}]


def test_a_row_of_no_form_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b"}, {"prompt": "a"})
    with pytest.raises(ValueError, match=r"row 1 must have prompt and completion or messages; it has"):
        load_rows(path, FORMS)


def test_a_checkpoint_cut_short_is_passed_over(tmp_path):
    for number, text in {2: '{"global_step": 2}', 10: '{"global_s', 11: None}.items():
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        if text is not None:
            (folder / "trainer_state.json").write_text(text)
    assert newest_checkpoint("auto", str(tmp_path)) == str(tmp_path / "checkpoint-2")
    assert newest_checkpoint(None, str(tmp_path)) is None
    assert newest_checkpoint("auto", str(tmp_path / "none")) is None
    with pytest.raises(ValueError, match=r"resume \(yes\) must be auto"):
        newest_checkpoint("yes", str(tmp_path))
