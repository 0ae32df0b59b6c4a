"""Guards the rows for mid-training: they are the text, and tiers are thirds of the model's own entropy."""

import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests" / "hosts" / "trl")]

import make_midtraining_rows  # noqa: E402
from tiny_trl import make_model, make_tokenizer  # noqa: E402

from rewards.next_token import next_token  # noqa: E402

TEXT = "".join(f"{i}+{7 * i % 100}={i + 7 * i % 100}" for i in range(90))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_model().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def run(monkeypatch, model, text, output, *words):
    command = ["make", "--model", model, "--text", text, "--output", output, *words]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    make_midtraining_rows.main()
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_rows(tmp_path, monkeypatch, model):
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": TEXT}) + "\n" + json.dumps({"text": TEXT[7:]}) + "\n")
    words = ["--rows", 60, "--context", 20, "--length", 6]
    rows = run(monkeypatch, model, text, tmp_path / "rows.jsonl", *words)
    assert rows == run(monkeypatch, model, text, tmp_path / "again.jsonl", *words), "the seed decides"
    assert len(rows) == 60
    for row in rows:
        assert row["prompt"] + row["reference"] in TEXT and 8 <= len(row["prompt"]) <= 20
        assert len(row["reference"]) == 6 and row["answer"] == row["reference"][0]
        ids = torch.tensor([make_tokenizer()(row["prompt"])["input_ids"]])
        logp = make_model()(ids).logits[0, -1].log_softmax(-1)
        assert row["entropy"] == pytest.approx(-(logp.exp() * logp).sum().item(), abs=1e-4)
    ranked = sorted(rows, key=lambda row: row["entropy"])
    assert [row["tier"] for row in ranked] == ["easy"] * 20 + ["medium"] * 20 + ["hard"] * 20
    assert next_token([row["reference"] for row in rows], [row["answer"] for row in rows]) == [1.0] * 60


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "1+1=2", "the text has no window of 320 tokens"),
        ("a.jsonl", '{"txt": "1"}', "row 0: `text` must be text, got NoneType"),
        ("a.txt", None, "No such file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, model, capsys, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit):
        run(monkeypatch, model, tmp_path / name, tmp_path / "rows.jsonl")
    assert said in capsys.readouterr().err
