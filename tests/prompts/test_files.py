"""Guards reading data files and making prompts: what comes out, and what is said of bad files."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlkit.prompts.files import read_rows, to_prompt_rows

ROWS = [{"question": "1+1?", "answer": "#### 2"}, {"question": "2+2?", "answer": "#### 4"}]


def test_every_format_gives_the_same_rows(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    for suffix in ("jsonl", "jsonl.gz", "json", "parquet"):
        assert read_rows(tmp_path / f"rows.{suffix}") == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "a,b", "must be one of .jsonl, .jsonl.gz, .json, .parquet; its suffix is '.csv'"),
        ("rows.jsonl", "", "holds no rows"),
        ("rows.jsonl", '{"a": 1}\n{"a": ', "line 2: not JSON"),
        ("rows.jsonl", "[1, 2]", "line 1: must be an object .* not list"),
        ("rows.json", '{"a": 1}\n{"a": 2}', "one object a line, name it .jsonl"),
        ("rows.json", '{"a": 1}', "must hold a list of objects"),
        ("rows.parquet", "nonsense", "not a Parquet file"),
        ("rows.jsonl.gz", "nonsense", "not a whole gzip file"),
        ("rows.csv.gz", "a,b", "its suffix is '.csv.gz'"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        read_rows(tmp_path / name)


def test_a_file_that_is_cut_or_is_not_text_is_named(tmp_path):
    packed = gzip.compress(json.dumps(ROWS[0]).encode() * 100)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "latin.jsonl").write_bytes('{"a": "\u00e9"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"cut\.jsonl\.gz: not a whole gzip file"):
        read_rows(tmp_path / "cut.jsonl.gz")
    with pytest.raises(ValueError, match=r"latin\.jsonl: not UTF-8 text"):
        read_rows(tmp_path / "latin.jsonl")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.jsonl does not exist"):
        read_rows(tmp_path / "nowhere.jsonl")


def test_prompts_are_messages_and_columns_stay():
    assert to_prompt_rows(ROWS)[0] == {**ROWS[0], "prompt": [{"role": "user", "content": "1+1?"}]}
    row = to_prompt_rows(ROWS, system_prompt="Be brief.", instruction="Box it.")[1]
    assert row["prompt"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2+2?\n\nBox it."},
    ]


def test_prompt_column_errors():
    with pytest.raises(
        ValueError, match=r"row 0 has no column 'problem'; its columns are \['answer', 'question'\]"
    ):
        to_prompt_rows(ROWS, prompt_column="problem")
    with pytest.raises(ValueError, match="row 0: column 'prompt' must hold text, not list"):
        to_prompt_rows([{"prompt": [{"role": "user", "content": "hi"}]}], prompt_column="prompt")
