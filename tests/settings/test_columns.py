"""Guards names of columns, also of keys inside of others."""

import pytest

from rlkit.evaluate.overlap import prompt_texts
from rlkit.prompts.files import read_rows, to_prompt_rows
from rlkit.settings.columns import has_column, parse_columns, value_of, with_columns
from rlkit.verify.grading import completions_of, grade_golds, grade_rows
from rlkit.verify.rewards import check_golds

ROW = {
    "reward_model": {"ground_truth": "5", "style": {"kind": "rule"}},
    "a.b": "dotted",
    "a": {"b": "inner"},
    "extra": {"question": "2 + 3?", "output": "5"},
    "none": None,
}


def right(completions, **columns):
    return [float(text == "5") for text in completions]


@pytest.mark.parametrize(
    ("name", "value", "there"),
    [
        ("reward_model.ground_truth", "5", True),
        ("reward_model.style.kind", "rule", True),
        ("reward_model.gold", None, False),
        ("none", None, True),
        ("none.key", None, False),
        ("a.b", "dotted", True),
        ("missing", None, False),
    ],
)
def test_values_by_name(name, value, there):
    assert (value_of(ROW, name), has_column(ROW, name)) == (value, there)


def test_every_place_where_a_column_is_named_takes_keys():
    assert to_prompt_rows([ROW], "extra.question")[0]["prompt"][-1]["content"] == "2 + 3?"
    assert check_golds(right, [ROW], "reward_model.ground_truth") == []
    assert completions_of([ROW], "extra.output") == ["5"]
    assert [
        grade.reward for part in grade_golds(right, [ROW], "reward_model.ground_truth") for grade in part
    ] == [1.0]
    assert [grade.reward for part in grade_rows(right, [ROW], ["5"]) for grade in part] == [1.0]
    assert prompt_texts([ROW], "extra.question") == ["2 + 3?"]
    assert with_columns(ROW, parse_columns(["answer=reward_model.ground_truth"], "columns"))["answer"] == "5"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_byte_order_mark_is_no_text(tmp_path, name):
    path = tmp_path / name
    text = '{"prompt": "1="}\n' if name.endswith("l") else '[{"prompt": "1="}]'
    path.write_text(text, encoding="utf-8-sig")
    assert read_rows(path) == [{"prompt": "1="}]


def test_what_is_graded_is_not_what_the_rows_hold():
    """A reward that changes its arguments and fails is asked again with what they were."""

    def spoils(completions, tests, **columns):
        for test in tests:
            test.append("seen")
        if len(completions) > 1:
            raise RuntimeError
        return [float(tests[0] == ["a", "seen"])]

    rows = [{"tests": ["a"]}, {"tests": ["a"]}]
    assert [grade.reward for part in grade_rows(spoils, rows, ["x", "y"]) for grade in part] == [1.0, 1.0]
    assert rows == [{"tests": ["a"]}, {"tests": ["a"]}]
