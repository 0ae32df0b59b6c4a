"""Guards `rlkit eval` without a model on the command line: what it prints and writes, one line an error."""

import json

import pytest
from typer.testing import CliRunner

from rlkit.cli import app
from rlkit.cli.evaluated import draw_checkpoints

QUESTIONS = [f"How many legs have {n} dogs and {n + 1} hens together in the yard?" for n in (3, 5, 8)]


def rlkit(*words):
    return CliRunner().invoke(app, ["eval", *map(str, words)])


@pytest.fixture
def data(tmp_path):
    """A benchmark of three problems, and a training file that holds the second, edited."""
    (tmp_path / "legs.jsonl").write_text("".join(f"{json.dumps({'q': text})}\n" for text in QUESTIONS))
    (tmp_path / "legs.yaml").write_text(
        "name: legs\ndata: legs.jsonl\nquestion: '{q}'\nreward: rewards.math_answer:accuracy\n"
    )
    training = ["What is 2 + 2?", QUESTIONS[1].upper().replace("?", " ?!")]
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in training]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def evaluated(folder, correct, model, step=1):
    """A model's folder on the benchmark "legs" with one sample of each of ten problems."""
    place = folder / "legs"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(json.dumps({"model": model}))
    row = {
        "benchmark": "legs",
        "sample": 0,
        "completion": "",
        "reward": 1.0,
        "scorable": True,
        "answer": None,
    }
    row |= {"group": -1, "num_tokens": 10 * step, "num_prompt_tokens": 1, "truncated": False}
    rows = [{**row, "problem": str(n), "correct": n < correct} for n in range(10)]
    (place / "completions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    numbers = {"accuracy": correct / 10, "accuracy_interval": [0.0, 1.0], "mean_tokens": 10.0 * step}
    record = {"label": folder.name, "model": model, "benchmark": "legs", **numbers}
    (place / "summary.json").write_text(json.dumps(record))
    return folder


def test_overlaps_are_listed_counted_and_written(data):
    done = rlkit("--check-overlap", data / "train.jsonl", "--benchmarks", data / "legs.yaml", "--out", data)
    assert done.exit_code == 0, done.output
    (found,) = json.loads((data / "overlap.json").read_text())["overlaps"]
    assert found == {
        "benchmark": "legs",
        "problem": "1",
        "row": 1,
        "kind": "equal",
        "share": 1.0,
        "text": QUESTIONS[1],
        "training_text": QUESTIONS[1].upper().replace("?", " ?!"),
    }
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines()]
    assert ["legs", "3", "1", "0", "0"] in cells


def test_two_models_are_compared(data):
    first, second = evaluated(data / "out" / "a", 1, "a"), evaluated(data / "out" / "b", 10, "b", step=2)
    done = rlkit("--compare", first, second, "--out", data / "out")
    assert done.exit_code == 0, done.output
    for text in ("0.100, 1.000", "+0.900 [", "0.0039", "higher", "10.0, 20.0", "+10.0 ["):
        assert text in done.output
    (entry,) = json.loads((data / "out" / "comparison.json").read_text())["comparisons"]
    assert entry["accuracy_difference"]["p_value"] == 2 / 2**9
    assert entry["accuracy_difference"]["verdict"] == "higher"
    assert "no difference shown" in rlkit("--compare", first, first).output


def test_several_checkpoints_make_a_picture_and_one_does_not(tmp_path):
    evaluated(tmp_path / "checkpoint-10", 2, "run/checkpoint-10")
    draw_checkpoints(tmp_path)
    assert not (tmp_path / "checkpoints.png").exists()
    evaluated(tmp_path / "checkpoint-20", 4, "run/checkpoint-20", step=2)
    draw_checkpoints(tmp_path)
    assert (tmp_path / "checkpoints.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmarks", "gsm8k"], "models is missing: name a checkpoint"),
        (["--check-overlap", "train.jsonl"], "benchmarks is missing: name some"),
        (["--check-overlap", "train.jsonl", "--benchmarks", "gsm9k"], "benchmark 'gsm9k' is unknown"),
        (["--check-overlap", "no.jsonl", "--benchmarks", "legs.yaml"], "data file no.jsonl does not exist"),
        (
            ["--check-overlap", "train.jsonl", "--benchmarks", "legs.yaml", "--data", "x=y"],
            "'x' is not among",
        ),
        (["--compare", "nowhere", "train"], "nowhere is not the folder of an evaluated model"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(data, monkeypatch, words, message):
    monkeypatch.chdir(data)
    before = sorted(data.iterdir())
    done = rlkit(*words, "--out", data / "out")
    assert isinstance(done.exception, ValueError) and message in str(done.exception)
    assert sorted(data.iterdir()) == before
