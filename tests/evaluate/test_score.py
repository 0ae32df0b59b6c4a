"""Guards offline success rates: numbers by hand, resuming after a kill, the curricula that read them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_model import save_model

from rlkit.evaluate.plan import Settings
from rlkit.evaluate.rows import Row
from rlkit.evaluate.score import COLUMNS, right_rows, score, success_rates
from rlkit.record.ledger import read_ledger

REPOSITORY = Path(__file__).parents[2]
REWARD = """
import os, signal
from rlkit.verify import completion_text

def starts_with_one_of(completions, answer, **_):
    if os.environ.get("KILL_AT") in answer:
        os.kill(os.getpid(), signal.SIGKILL)
    texts = map(completion_text, completions)
    return [float(text[:1] in tuple(gold)) for text, gold in zip(texts, answer)]
"""
ANSWERS = ["0", "0123", "0123456789+=", "01234567", "9", "89", "789", "6789", "56789", "4", "34", "234"]
SETTINGS = Settings(num_samples=4, batch_size=8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, seed=0)
    return folder


@pytest.fixture
def data(tmp_path):
    rows = [{"prompt": f"{i}+1=", "answer": answer, "level": i} for i, answer in enumerate(ANSWERS)]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "reward.py").write_text(REWARD)
    return tmp_path


def scored(checkpoint, data, name="scored.parquet", **changes):
    settings = {"reward": f"{data / 'reward.py'}:starts_with_one_of", "max_new_tokens": 3, **changes}
    return score(str(checkpoint), data / "train.jsonl", data / name, SETTINGS, **settings)


def command(checkpoint, data, name):
    words = [
        "score",
        str(checkpoint),
        str(data / "train.jsonl"),
        "--output",
        str(data / name),
        "--samples",
        "4",
    ]
    reward = ["--reward", f"{data / 'reward.py'}:starts_with_one_of"]
    return [sys.executable, "-m", "rlkit.cli", *words, *reward, "--max-new-tokens", "3", "--batch-size", "8"]


def sample(problem, reward, tokens, scorable=True):
    return Row("score", problem, 0, "", reward, False, scorable, None, -1, tokens, 1, False)


def test_rates_by_hand():
    rows = [
        *(sample("0", reward, tokens) for reward, tokens in [(1.0, 2), (0.0, 4), (None, 3), (1.0, 3)]),
        *(sample("1", reward, 5) for reward in (-1.0, 3.0)),
        *(sample("2", None, 1, scorable=False) for _ in range(2)),
    ]
    assert list(success_rates(rows)) == [(0.5, 0.5, 4, 3.0), (0.5, 2.0, 2, 5.0), (None, None, 2, 1.0)]


def test_columns_are_kept_and_rates_added(checkpoint, data):
    table = scored(checkpoint, data)
    assert table.column_names == ["prompt", "answer", "level", *COLUMNS.names]
    assert table["level"].to_pylist() == list(range(12))
    assert pq.read_table(data / "scored.parquet").equals(table)
    rates = table["pass_rate"].to_pylist()
    assert all(rate in (0, 0.25, 0.5, 0.75, 1) for rate in rates)
    for rate, std in zip(rates, table["reward_std"].to_pylist(), strict=True):
        assert std == pytest.approx((rate * (1 - rate)) ** 0.5)
    assert rates[2] > rates[0], "twelve of the characters are right there, one here"
    assert set(table["num_samples"].to_pylist()) == {4}
    manifest = json.loads(pq.read_schema(data / "scored.parquet").metadata[b"rlkit"])
    assert (manifest["model"], manifest["num_samples"]) == (str(checkpoint), 4)
    assert sorted(path.name for path in data.iterdir()) == ["reward.py", "scored.parquet", "train.jsonl"]


def test_right_completions_become_rows_to_learn_from():
    rows = [{"prompt": "a", "answer": "1"}, {"prompt": [{"role": "user", "content": "b"}], "answer": "2"}]
    said = [(0, "1", True), (0, "2", False), (0, "1", True), (1, "2", True)]
    completions = [
        Row("score", str(row), number, text, float(right), right, True, None, -1, 1, 1, False)
        for number, (row, text, right) in enumerate(said)
    ]
    assert list(right_rows(rows, completions)) == [
        {"prompt": "a", "answer": "1", "completion": "1"},  # once
        {**rows[1], "completion": [{"role": "assistant", "content": "2"}]},
    ]


def test_types_of_a_parquet_file_stay_and_an_old_rate_is_replaced(checkpoint, data):
    table = pa.table(
        {
            "question": ["1+1=", "2+1="],
            "answer": pa.array(["0", "01"], pa.large_string()),
            "pass_rate": [7.0, 8.0],
            "nested": [{"a": [1]}, {"a": [2]}],
        }
    )
    pq.write_table(table, data / "train.parquet")
    (data / "train.jsonl").unlink()
    made = score(
        str(checkpoint), data / "train.parquet", data / "out.parquet", SETTINGS,
        f"{data / 'reward.py'}:starts_with_one_of", 3, prompt_column="question", limit=1,
    )  # fmt: skip
    assert made.schema.field("answer").type == pa.large_string()
    assert made.schema.field("nested").type == table.schema.field("nested").type
    assert made["nested"].to_pylist() == [{"a": [1]}] and made["pass_rate"][0].as_py() <= 1


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_file(checkpoint, data):
    whole = scored(checkpoint, data, "whole.parquet")
    killed = subprocess.run(
        command(checkpoint, data, "parts.parquet"), capture_output=True, env={**os.environ, "KILL_AT": "89"}
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (data / "parts.parquet").exists(), "nothing but a whole file has that name"
    (rows,) = (data / "parts.parquet.partial").glob("*/score/completions.jsonl")
    assert len(rows.read_text().splitlines()) == 4 * 4
    with rows.open("a") as file:
        file.write('{"benchmark": "sco')  # torn in mid-write
    done = subprocess.run(command(checkpoint, data, "parts.parquet"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "12 rows, mean pass rate" in done.stdout
    assert pq.read_table(data / "parts.parquet").to_pylist() == whole.to_pylist()
    assert not (data / "parts.parquet.partial").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "scored.csv"}, r"output .*scored.csv must end in .parquet"),
        ({"name": "train.parquet"}, r"output .*train.parquet exists; delete it, or name another"),
        ({"reward": "nowhere.py:reward"}, "there is no file nowhere.py"),
        ({"limit": 0}, r"limit \(0\) must be at least 1"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(checkpoint, data, changes, message):
    (data / "train.parquet").write_text("")
    before = sorted(data.iterdir())
    with pytest.raises(ValueError, match=message):
        scored(checkpoint, data, **changes)
    assert sorted(data.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("curriculum", ["uniform", "hard_examples", "prefilter"])
def test_the_recipe_trains_by_the_rates(checkpoint, data, curriculum):
    table = scored(checkpoint, data).to_pylist()
    words = {
        "model_name_or_path": checkpoint,
        "dataset_path": data / "scored.parquet",
        "rewards": f"{data / 'reward.py'}:starts_with_one_of",
        "output_dir": data / "run",
        "curriculum": curriculum,
        "subset_share": 0.25 if curriculum == "hard_examples" else None,
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 3,
        "max_steps": 4,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
    }
    options = [
        word for name, value in words.items() if value is not None for word in (f"--{name}", str(value))
    ]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "recipes" / "grpo.py"), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    trained = {row["index"] for row in read_ledger(data / "run" / "ledger").to_pylist()}
    rates = [row["pass_rate"] for row in table]
    if curriculum == "uniform":
        assert len(trained) == 8
    elif curriculum == "prefilter":
        assert all(0 < rates[index] < 1 for index in trained) and min(rates) == 0
    else:
        assert sorted(rates[index] for index in trained) == sorted(rates)[:3]
