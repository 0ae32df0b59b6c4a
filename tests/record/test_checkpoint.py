"""Guards the checkpoint: what goes in comes out to the bit, half a file is never read, runs do not mix."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.record import checkpoint
from rlkit.record.checkpoint import check_output_dir, last_checkpoint, load_state, save_state
from rlkit.record.manifest import commit

STATE = {
    "keys": np.array([0, 2**63, 2**64 - 1], dtype=np.uint64),
    "visits": np.arange(6, dtype=np.int32).reshape(2, 3),
    "recent": np.array([[0.1, np.nan], [np.inf, -0.0]]),
    "mask": np.array([True, False]),
    "empty": np.empty((0, 5)),
    "zero_dimensional": np.array(3.5),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "reversed": np.arange(4)[::-1],
    "tensor": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16),
    "rng": np.random.default_rng(7).bit_generator.state,
    "beyond_64_bits": 2**127 + 1,
    "negative": -(2**70),
    "none": None,
    "name": "pcl",
    "float": 0.1,
    "flag": True,
    "list": [np.arange(2), [torch.ones(1), None]],
    "by_number": {0: {"step": torch.tensor(3.0)}, 1: {}},
}


def same(saved, loaded) -> None:
    assert type(saved) is type(loaded)
    if isinstance(saved, dict):
        assert list(saved) == list(loaded)
        for key in saved:
            same(saved[key], loaded[key])
    elif isinstance(saved, list):
        assert len(saved) == len(loaded)
        for pair in zip(saved, loaded, strict=True):
            same(*pair)
    elif isinstance(saved, np.ndarray):
        assert saved.dtype == loaded.dtype and saved.shape == loaded.shape
        assert saved.tobytes() == loaded.tobytes()
    elif isinstance(saved, torch.Tensor):
        assert saved.dtype == loaded.dtype
        torch.testing.assert_close(loaded, saved, rtol=0, atol=0)
    else:
        assert saved == loaded


def test_round_trip_to_the_bit(tmp_path):
    save_state(tmp_path, "curriculum", STATE)
    same(STATE, load_state(tmp_path, "curriculum"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.integers(-(2**31), 2**31 - 1), children, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_packing_is_undone_by_unpacking(value):
    same(value, checkpoint._unpack(checkpoint._pack(value)))


def test_a_saved_array_is_a_snapshot(tmp_path):
    array = np.zeros(3)
    packed = checkpoint._pack({"array": array})
    array += 1
    assert checkpoint._unpack(packed)["array"].tolist() == [0, 0, 0]


def test_tuples_and_numpy_numbers_come_back_plain(tmp_path):
    save_state(tmp_path, "x", {"pair": (1, "a"), "mean": np.float64(0.25), "count": np.int32(3)})
    assert load_state(tmp_path, "x") == {"pair": [1, "a"], "mean": 0.25, "count": 3}


def test_a_generator_goes_on_where_it_was(tmp_path):
    first, second = np.random.default_rng(1), np.random.default_rng(2)
    first.random(5)
    save_state(tmp_path, "rng", {"rng": first.bit_generator.state})
    second.bit_generator.state = load_state(tmp_path, "rng")["rng"]
    np.testing.assert_array_equal(second.random(5), first.random(5))


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path):
    for step in range(2):
        save_state(tmp_path, "curriculum", {"step": step})
    save_state(tmp_path, "process-0", {"step": 9})
    assert load_state(tmp_path, "curriculum") == {"step": 1}
    names = sorted(path.name for path in (tmp_path / "rlkit").iterdir())
    assert names == ["curriculum.pt", "process-0.pt"]


def test_half_a_file_under_its_temporary_name_is_not_read(tmp_path):
    (tmp_path / "rlkit").mkdir()
    (tmp_path / "rlkit" / "curriculum.tmp").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"has no rlkit/curriculum\.pt"):
        load_state(tmp_path, "curriculum")
    save_state(tmp_path, "curriculum", {"step": 1})
    assert load_state(tmp_path, "curriculum") == {"step": 1}


def test_a_checkpoint_without_our_state_says_why_and_what_to_do(tmp_path):
    with pytest.raises(ValueError) as error:
        load_state(tmp_path / "checkpoint-50", "process-1")
    message = str(error.value)
    assert "checkpoint-50) has no rlkit/process-1.pt" in message
    assert "as many processes" in message and "save_only_model" in message and "model_name_or_path" in message


def test_another_format_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 999)
    save_state(tmp_path, "curriculum", {})
    monkeypatch.undo()
    with pytest.raises(
        ValueError, match=rf"has format 999, this rlkit reads {checkpoint.VERSION}; resume with the version"
    ):
        load_state(tmp_path, "curriculum")


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (4, "its prompts are known by their text alone"),
        (5, "it knows nothing of objectives"),
        (6, "its value model"),
        (7, "it does not say which features"),
        (8, "its value model does not know the directions"),
    ],
)
def test_a_checkpoint_of_an_older_format_says_so(tmp_path, monkeypatch, version, why):
    monkeypatch.setattr(checkpoint, "VERSION", version)
    save_state(tmp_path, "curriculum", {})
    monkeypatch.undo()
    said = rf"has format {version} \({why}.*reads {checkpoint.VERSION}; .*\(model_name_or_path\)"
    with pytest.raises(ValueError, match=said):
        load_state(tmp_path, "curriculum")


@pytest.mark.parametrize("traces", [["metrics.jsonl"], ["checkpoint-5"], ["metrics.jsonl", "checkpoint-10"]])
@pytest.mark.parametrize("resume_from", [None, "another/checkpoint-5"])
def test_a_folder_with_another_run_is_refused(tmp_path, traces, resume_from):
    for name in traces:
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError) as error:
        check_output_dir(tmp_path, resume_from and tmp_path / resume_from)
    message = str(error.value)
    assert f"output_dir ({tmp_path}) holds another run ({', '.join(sorted(traces))})" in message
    assert "choose another folder" in message and "set resume_from_checkpoint" in message


def test_the_run_that_is_resumed_may_go_on_in_its_folder(tmp_path, monkeypatch):
    (tmp_path / "run" / "checkpoint-5").mkdir(parents=True)
    check_output_dir(tmp_path / "run", tmp_path / "run" / "checkpoint-5")
    monkeypatch.chdir(tmp_path)
    check_output_dir("run", "./run/checkpoint-5/")


def test_folders_that_hold_no_run_are_welcome(tmp_path):
    check_output_dir(tmp_path / "not there yet")
    check_output_dir(str(tmp_path), resume_from=tmp_path / "another" / "checkpoint-5")
    (tmp_path / "config.yaml").write_text("")
    check_output_dir(tmp_path)


def test_the_last_checkpoint_is_the_newest_whole_one(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step in (5, 20, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert last_checkpoint(tmp_path) is None
    for step in (5, 20):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) is None
    for step in (5, 20):
        commit(tmp_path / f"checkpoint-{step}")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-20")
