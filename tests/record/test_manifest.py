"""Guards what makes a checkpoint whole: any change is seen and named, the last good one is never deleted."""

import json
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.record.checkpoint import find_checkpoint, last_checkpoint
from rlkit.record.manifest import ABANDONED, MANIFEST, abandon_after, checkpoints, commit, defect, rotate

FILES = {"model.safetensors": b"weights" * 9, "rlkit/curriculum.pt": b"state", "trainer_state.json": b"{}"}


def make(folder: Path, step: int, committed: bool = True) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    for name, content in FILES.items():
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_bytes(content)
    if committed:
        commit(checkpoint)
    return checkpoint


def names(folder: Path) -> list[str]:
    return [path.name for path in checkpoints(folder)]


def test_a_committed_checkpoint_is_whole(tmp_path):
    checkpoint = make(tmp_path, 5)
    assert defect(checkpoint) is None
    entries = json.loads((checkpoint / MANIFEST).read_text())["files"]
    assert entries.keys() == FILES.keys()
    sha256 = "4ba69735ca53765ed6a709edb56c6ea236b7193a3b29a6b390c346f0f4340e4e"  # by sha256sum
    assert entries["rlkit/curriculum.pt"] == {"bytes": 5, "sha256": sha256}


@given(st.sampled_from(sorted(FILES)), st.data())
def test_any_changed_or_missing_byte_is_seen_and_its_file_named(name, data):
    content = FILES[name]
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = (
        content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    )
    changed = data.draw(st.sampled_from([flipped, content[:place], content + b"x", None]))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = make(Path(folder), 1)
        if changed is None:
            (checkpoint / name).unlink()
        else:
            (checkpoint / name).write_bytes(changed)
        assert name in str(defect(checkpoint))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', '{"files": {"a": 1}}'])
def test_a_manifest_that_makes_no_sense_is_a_defect(tmp_path, text):
    checkpoint = make(tmp_path, 1)
    (checkpoint / "a").write_text("a")
    (checkpoint / MANIFEST).write_text(text)
    assert "manifest.json cannot be read" in str(defect(checkpoint))


def test_the_newest_whole_one_is_taken_and_the_others_named(tmp_path, caplog):
    make(tmp_path, 9)
    good, altered = make(tmp_path, 10), make(tmp_path, 20)
    (altered / "model.safetensors").write_bytes(b"w3ights" * 9)
    make(tmp_path, 100, committed=False)
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        assert last_checkpoint(tmp_path) == str(good)
    assert "checkpoint-100 is passed over: it was cut short while being saved" in caplog.text
    assert "checkpoint-20 is passed over: model.safetensors was altered" in caplog.text
    assert find_checkpoint("auto", str(tmp_path)) == find_checkpoint(True, str(tmp_path)) == str(good)


def test_a_broken_checkpoint_by_name_is_an_error_that_names_the_last_good_one(tmp_path):
    good, broken = make(tmp_path, 1), make(tmp_path, 2)
    (broken / "trainer_state.json").unlink()
    with pytest.raises(ValueError) as error:
        find_checkpoint(str(broken), str(tmp_path))
    assert f"({broken}) is broken: trainer_state.json is missing" in str(error.value)
    assert f"the last whole one is {good}" in str(error.value)


def test_auto_starts_anew_only_where_no_checkpoint_was_ever_completed(tmp_path):
    assert find_checkpoint("auto", str(tmp_path)) is None
    make(tmp_path, 1, committed=False)
    assert find_checkpoint("auto", str(tmp_path)) is None
    altered = make(tmp_path, 2)
    (altered / "model.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"no checkpoint .* is whole \(checkpoint-2: model.safetensors is missing\)"
    ):
        find_checkpoint("auto", str(tmp_path))


def test_checkpoints_that_the_run_went_back_behind_do_not_count(tmp_path):
    for step in (2, 4, 6):
        make(tmp_path, step)
    abandon_after(tmp_path / "checkpoint-2")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")
    assert (tmp_path / "checkpoint-6" / ABANDONED).exists()
    assert "went back behind it" in str(defect(tmp_path / "checkpoint-4"))


@pytest.mark.parametrize(
    ("limit", "best", "left"),
    [
        (None, None, [2, 3, 4, 6, 8, 9]),
        (0, None, [2, 3, 4, 6, 8, 9]),
        (1, None, [8, 9]),
        (2, None, [6, 8, 9]),
        (3, None, [4, 6, 8, 9]),
        (9, None, [2, 4, 6, 8, 9]),
        (1, "checkpoint-2", [2, 8, 9]),
        (2, "checkpoint-2", [2, 8, 9]),
        (3, "checkpoint-2", [2, 6, 8, 9]),
        (2, "checkpoint-8", [6, 8, 9]),
    ],
)
def test_rotation_keeps_the_newest_whole_ones_and_the_best(tmp_path, limit, best, left):
    """3 was cut short before, 9 lies in the future of a run that went back: the newest whole one is 8."""
    for step in (2, 3, 4, 6, 8, 9):
        make(tmp_path, step, committed=step not in (3, 9))
    rotate(tmp_path / "checkpoint-8", limit, best and str(tmp_path / best))
    assert [int(name.split("-")[1]) for name in names(tmp_path)] == left
    assert defect(tmp_path / "checkpoint-8") is None
