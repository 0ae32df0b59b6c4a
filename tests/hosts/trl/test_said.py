"""Guards the texts that a trainer keeps: those that were graded, with their rewards."""

import pytest
from tiny_trl import (
    completion_rows,
    even_start,
    ledger_rows,
    make_messages,
    make_trainer,
    metrics,
    share_of_ones,
)

from rlkit import CurriculumConfig
from rlkit.hosts.trl.said import gold_of
from rlkit.record.messages import as_text, restored


def keeping(keep: str, curriculum: str = "dapo", **more) -> CurriculumConfig:
    return CurriculumConfig(curriculum, keep_completions=keep, signal_max=2.0, **more)


def test_all_completions_are_those_of_the_ledger(tmp_path):
    """Same groups, signals and rewards in the same order; each text earns its reward again."""
    make_trainer(tmp_path, keeping("all"), [even_start, share_of_ones]).train()
    rows, groups = completion_rows(tmp_path), ledger_rows(tmp_path)
    assert [(row["generation"], row["step"], row["index"], row["key"]) for row in rows] == [
        (group["generation"], group["step"], group["index"], group["key"])
        for group in groups
        for _ in range(4)
    ]
    assert [row["signal"] for row in rows] == [signal for group in groups for signal in group["signals"]]
    assert [row["tokens"] for row in rows] == [length for group in groups for length in group["lengths"]]
    texts = [row["completion"] for row in rows]
    assert [dict(row["rewards"])["even_start"] for row in rows] == even_start(texts)
    assert [dict(row["rewards"])["share_of_ones"] for row in rows] == pytest.approx(share_of_ones(texts))
    assert {row["prompt"]: row["gold"] for row in rows}.items() <= {
        f"{i:03d}=": str(i % 10) for i in range(64)
    }.items()


def test_extremes_are_a_few_groups_a_step(tmp_path):
    make_trainer(tmp_path, keeping("extremes")).train()
    rows = completion_rows(tmp_path)
    assert {row["step"] for row in rows} == {row["step"] for row in metrics(tmp_path)} == {1, 2, 3}
    for step in (1, 2, 3):
        assert 2 <= len({row["index"] for row in rows if row["step"] == step}) <= 4
    assert (tmp_path / "ledger" / "pool.parquet").exists()


def test_none_keeps_no_text(tmp_path):
    make_trainer(tmp_path, keeping("none"), max_steps=1).train()
    assert completion_rows(tmp_path) == []
    assert b"017=" not in (tmp_path / "ledger" / "pool.parquet").read_bytes()


def test_messages_are_kept_as_messages(tmp_path):
    make_trainer(tmp_path, keeping("all"), data=make_messages(), max_steps=1).train()
    row = completion_rows(tmp_path)[0]
    assert restored(row["prompt"], row["chat"]) == [{"role": "user", "content": f"{row['index']:03d}"}]
    [message] = restored(row["completion"], row["chat"])
    assert message["role"] == "assistant" and isinstance(message["content"], str)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<b>", "<b>"),
        ([{"role": "user", "content": "2+2?"}], "[user] 2+2?"),
        (
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}],
            "[user] (image) ?",
        ),
        ([{"role": "assistant", "content": None, "tool_calls": [{"f": 1}]}], '[assistant] [{"f": 1}]'),
        ("\ud800", "?"),
        ([1, 2], "[1, 2]"),
        (None, "null"),
    ],
)
def test_anything_becomes_a_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("row", "column", "gold"),
    [
        ({"answer": 5}, None, "5"),
        ({"solution": "a", "label": "b"}, "label", "b"),
        ({"reward_model": {"ground_truth": "c"}}, None, "c"),
        ({"prompt": "d"}, None, None),
        ({"answer": None}, None, None),
    ],
)
def test_the_gold_is_where_its_column_is(row, column, gold):
    assert gold_of(row, column) == gold


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_completions": "some"}, "keep_completions ('some') must be one of none, extremes, all"),
        ({"completions_mb": 0.0}, "completions_mb (0.0) must be above 0"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(ValueError) as caught:
        CurriculumConfig(**settings).validate()
    assert message in str(caught.value)
