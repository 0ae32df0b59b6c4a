"""Guards the keys: a row's whole content and nothing else, the same from a list and from Arrow columns."""

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rlkit.prompts.keys import prompt_keys, unique_prompts


def row(i: int) -> dict[str, Any]:
    """A row of every kind of column; each value differs from one i to the next, or holes do."""
    return {
        "prompt": [{"role": "user", "content": f"question {i} \u00e9"}],
        "number": i - 3,
        "share": i / 7,
        "flag": i % 2 == 0,
        "hole": None if i % 3 else "x",
        "list": None if i == 3 else [1, None, i],
        "nested": [[["a"], []], None][i % 2],
        "struct": {"x": {"y": None if i % 2 else i, "z": "s"}, "k": [{"c": 1.5}]},
        "no_struct": [None, {"q": 1}][i % 2],
        "day": datetime.datetime(2020, 1, 1 + i),
        "bytes": b"ab\xff" + bytes([i]),
        "empty": [],
    }


ROWS = [row(i) for i in range(7)]


def test_keys_are_stable_over_machines_and_versions():
    keys = prompt_keys([{"prompt": "a"}, {"prompt": "a", "answer": 1}])
    assert keys.dtype == np.uint64
    assert keys.tolist() == [7347286643337438114, 4407332804786346939]


def test_the_order_of_columns_and_of_a_message_s_fields_is_no_content():
    one = [{"prompt": [{"role": "user", "content": "2+2?"}], "answer": "4"}]
    other = [{"answer": "4", "prompt": [{"content": "2+2?", "role": "user"}]}]
    np.testing.assert_array_equal(prompt_keys(one), prompt_keys(other))


@pytest.mark.parametrize("name", ROWS[0])
def test_keys_of_a_dataset_are_those_of_its_rows(name):
    rows = [{"prompt": "p", name: row[name]} for row in ROWS]
    np.testing.assert_array_equal(prompt_keys(Dataset.from_list(rows)), prompt_keys(rows))


def test_keys_of_a_selection_are_those_of_its_rows():
    picked = Dataset.from_list(ROWS).select([5, 2, 3])
    np.testing.assert_array_equal(prompt_keys(picked), prompt_keys(ROWS)[[5, 2, 3]])


def test_other_kinds_of_arrow_columns():
    columns = {
        "prompt": ["a", "b"],
        "uint64": pa.array([2**63 + 1, 5], pa.uint64()),
        "int8": pa.array([1, -2], pa.int8()),
        "float32": pa.array([0.1, 0.2], pa.float32()),
        "large": pa.array(["x", "y"], pa.large_string()),
        "words": pa.array(["x", "y"]).dictionary_encode(),
        "pair": pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)),
        "nothing": pa.nulls(2),
    }
    data = Dataset(pa.table(columns))
    np.testing.assert_array_equal(prompt_keys(data), prompt_keys([data[0], data[1]]))


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-1, 1)
    | st.text(max_size=2)
    | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    max_leaves=4,
)


def content(value: Any) -> Any:
    """Of which equal values are equal: 1, 1.0 and True are not, and None stands for a missing field."""
    if isinstance(value, dict):
        return ("dict", sorted((key, content(item)) for key, item in value.items() if item is not None))
    return ("list", [content(item) for item in value]) if isinstance(value, list) else repr(value)


@settings(max_examples=100)
@given(st.lists(CELLS, min_size=2, max_size=12))
def test_two_rows_have_one_key_just_where_they_are_the_same(cells):
    keys = prompt_keys([{"prompt": "p", "cell": cell} for cell in cells]).tolist()
    contents = [repr(content(cell)) for cell in cells]
    assert len(set(keys)) == len(set(contents)) == len(set(zip(keys, contents, strict=True)))


def test_neighbours_do_not_run_into_each_other():
    pairs = [("ab", "c"), ("a", "bc"), ("abc", None), (None, "abc")]
    rows: list[dict[str, Any]] = [{"prompt": one, "x": other} for one, other in pairs]
    rows += [
        {"prompt": ["a", "b"]},
        {"prompt": ["ab"]},
        {"prompt": [["a"], "b"]},
        {"prompt": "1"},
        {"prompt": 1},
    ]
    assert len(set(prompt_keys(rows).tolist())) == len(rows)


def picture(shade: int) -> Image.Image:
    return Image.new("L", (4, 4), shade)


def test_a_picture_is_its_bytes_and_not_its_place():
    rows = [{"prompt": "what is it?", "image": picture(shade)} for shade in (0, 9, 0)]
    for keys in (prompt_keys(rows), prompt_keys(Dataset.from_list(rows))):
        assert keys[0] == keys[2] != keys[1]


def test_a_picture_without_bytes_is_its_path():
    stored = [
        {"bytes": None, "path": "a.png"},
        {"bytes": None, "path": "b.png"},
        {"bytes": b"1", "path": "a.png"},
        {"bytes": b"1", "path": "b.png"},
    ]
    rows = [{"prompt": "p", "image": image} for image in stored]
    for keys in (prompt_keys(rows), prompt_keys(Dataset.from_list(rows))):
        assert keys[2] == keys[3] and len(set(keys.tolist())) == 3


def test_a_picture_read_from_a_file_is_its_path(tmp_path):
    picture(3).save(tmp_path / "a.png")
    opened = Image.open(tmp_path / "a.png")
    keys = prompt_keys([{"prompt": "p", "image": opened}, {"prompt": "p", "image": str(tmp_path / "a.png")}])
    assert keys[0] == keys[1]


def test_python_s_other_values():
    values = [Decimal("1"), Decimal("2"), {1, 2}, {1, 3}, np.array([7, 2]), np.float64(0.5), 2**70, lambda: 0]
    rows = [{"prompt": "p", "x": value} for value in values]
    assert len(set(prompt_keys(rows).tolist())) == len(rows)
    same = [{"prompt": "p", "x": value} for value in ({2, 1}, {1, 2})]
    assert len(set(prompt_keys(same).tolist())) == 1


@pytest.mark.parametrize("make", [list, Dataset.from_list])
def test_keys_do_not_depend_on_how_many_rows_are_read_at_once(make, monkeypatch):
    whole = prompt_keys(make(ROWS))
    monkeypatch.setattr("rlkit.prompts.keys.SLICE", 3)
    np.testing.assert_array_equal(prompt_keys(make(ROWS)), whole)
    assert len(set(whole.tolist())) == len(ROWS)


def test_unique_prompts_are_the_first_of_each_key_in_order():
    np.testing.assert_array_equal(unique_prompts(np.array([7, 9, 7, 1, 9])), [0, 1, 3])
