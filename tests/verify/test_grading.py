"""Guards `rlkit grade` and the grading behind it: columns, failures, files, golds, interruption."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from rlkit.prompts.files import read_rows
from rlkit.verify.grading import Grade, GradeWriter, completions_of, grade_golds, grade_rows, prepare_rows

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
MATH = "rewards/math_answer.py:accuracy"
ROWS = [
    {"id": 1, "completion": r"\boxed{1/2}", "answer": "0.5"},
    {"id": 2, "completion": "so 7", "answer": "8"},
    {"id": 3, "completion": "so 7", "answer": None},
]
COMMAND = [sys.executable, "-m", "rlkit.cli", "grade"]


def rlkit_grade(*arguments) -> subprocess.CompletedProcess:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fails_on_bad(completions, **_):
    if "bad" in completions:
        raise RuntimeError("bad completion")
    return [0.5] * len(completions)


def test_rows_on_which_the_reward_fails_carry_its_error():
    rows = [{"completion": text} for text in ["a", "bad", "c"]]
    [grades] = grade_rows(fails_on_bad, rows, completions_of(rows, "completion"))
    assert grades == [Grade(0.5), Grade(None, "RuntimeError: bad completion"), Grade(0.5)]


def test_batches_cover_all_rows_in_order():
    rows = [{"completion": str(n), "answer": n} for n in range(600)]

    def digit(completions, answer, **_):
        assert len(completions) <= 256
        return [(int(text) + n) / 2000 for text, n in zip(completions, answer, strict=True)]

    batches = list(grade_rows(digit, rows, completions_of(rows, "completion")))
    assert [len(batch) for batch in batches] == [256, 256, 88]
    assert [grade.reward for batch in batches for grade in batch] == [n / 1000 for n in range(600)]


def test_columns_are_renamed_filled_and_looked_up_in_objects():
    rows = [{"gold": "1", "info": {"x": {"y": 2}}}, {"other": 3}]

    def reward(completions, answer, deep, trainer_state, optional=0, **_):
        return [0.0] * len(completions)

    prepared = prepare_rows(rows, {"answer": "gold", "deep": "info.x.y"}, reward)
    assert prepared == [
        {"gold": "1", "info": {"x": {"y": 2}}, "other": None, "answer": "1", "deep": 2},
        {"gold": None, "info": None, "other": 3, "answer": None, "deep": None},
    ]


def test_golds_that_fail_keep_their_reward():
    def half_for_two(completions, answer, **_):
        return [0.5 if "2" in text else 1.0 for text in completions]

    [grades] = grade_golds(half_for_two, [{"answer": "1"}, {"answer": "2"}], "answer")
    assert grades == [Grade(1.0), Grade(0.5)]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_the_output_keeps_the_columns_and_leaves_nothing_beside_it(tmp_path, suffix):
    source = write_jsonl(tmp_path / "in.jsonl", ROWS)
    done = rlkit_grade("--reward", MATH, "--input", source, "--output", tmp_path / "made" / f"out.{suffix}")
    assert done.returncode == 0, done.stderr
    rewards = [1.0, 0.0, None]
    expected = [
        {**row, "reward": reward, "reward_error": None} for row, reward in zip(ROWS, rewards, strict=True)
    ]
    assert read_rows(tmp_path / "made" / f"out.{suffix}") == expected
    assert os.listdir(tmp_path / "made") == [f"out.{suffix}"]
    summary = "3 rows, mean reward 0.5000: 1 with 1, 1 with 0, 0 with another reward, 1 unscorable, 0 failed;"
    assert done.stdout.startswith(summary)


def test_parquet_with_messages_and_other_column_names(tmp_path):
    import pyarrow as pa

    rows = [{"reply": [{"role": "assistant", "content": r"\boxed{3}"}], "info": {"gold": "3"}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    done = rlkit_grade(
        *("--reward", MATH, "--input", tmp_path / "in.parquet", "--output", tmp_path / "out.jsonl"),
        *("--completion-column", "reply", "--column", "answer=info.gold"),
    )
    assert done.returncode == 0, done.stderr
    assert read_rows(tmp_path / "out.jsonl") == [{**rows[0], "reward": 1.0, "reward_error": None}]


def test_golds_are_listed_and_the_exit_code_is_0(tmp_path):
    with gzip.open(tmp_path / "in.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"gold": gold}) + "\n" for gold in ["1/2", "x" * 500, ["3", "4"], ""])
    done = rlkit_grade(
        *("--reward", MATH, "--input", tmp_path / "in.jsonl.gz", "--golds", "--column", "answer=gold"),
        *("--output", tmp_path / "out.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert "2 golds do not earn 1: rows 2, 4" in done.stdout
    assert [row["reward"] for row in read_rows(tmp_path / "out.jsonl")] == [1.0, None, 1.0, None]


def test_the_first_failing_rows_are_told(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def mine(completions, **_):\n    return [1.0 / int(text) for text in completions]\n"
    )
    source = write_jsonl(tmp_path / "in.jsonl", [{"completion": text} for text in "10203"])
    output = tmp_path / "out.jsonl"
    done = rlkit_grade("--reward", f"{tmp_path}/mine.py:mine", "--input", source, "--output", output)
    assert done.returncode == 0
    assert "1 with 1, 0 with 0, 2 with another reward, 0 unscorable, 2 failed" in done.stdout
    assert "  row 2 failed: ZeroDivisionError: float division by zero\n  row 4 failed" in done.stdout
    assert [row["reward_error"] is None for row in read_rows(output)] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (
            '{"completion": "1"}',
            [],
            "reward 'accuracy' needs the column 'answer', which the data does not have",
        ),
        ('{"answer": "1"}', [], "completion column 'completion' is not in the data; it has ['answer']; name"),
        ('{"completion": 5, "answer": "1"}', [], "row 1: column 'completion' must hold text or a list of"),
        ('{"completion": "1"}', ["--column", "answer=gold"], "column 'gold' (of answer=gold) is not in the"),
        ('{"completion": "1"}', ["--column", "answer"], "--column 'answer' must be ARGUMENT=COLUMN"),
        ('{"answer": 1}', ["--golds", "--gold-column", "g"], "gold column 'g' is not in the data; it has"),
        ('{"answer": 1}\n{"answer": ', [], "{tmp}/in.jsonl, line 2: not JSON"),
        (
            '{"completion": "1", "answer": 1}',
            ["--output", "{tmp}/out.csv"],
            "output {tmp}/out.csv must be one",
        ),
        (
            '{"completion": "1", "answer": 1}',
            ["--output", "{tmp}/in.jsonl"],
            "--output {tmp}/in.jsonl is the",
        ),
        (
            '{"completion": "1"}',
            ["--reward", "rewards/math_answer.py:no"],
            "reward 'rewards/math_answer.py:no': ",
        ),
        ('{"completion": "1"}', ["--input", "{tmp}/no.jsonl"], "data file {tmp}/no.jsonl does not exist"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_no_file(tmp_path, lines, options, message):
    (tmp_path / "in.jsonl").write_text(lines)
    arguments = ["--reward", MATH, "--input", "{tmp}/in.jsonl", "--output", "{tmp}/out.jsonl", *options]
    done = rlkit_grade(*(text.format(tmp=tmp_path) for text in arguments))
    assert done.returncode == 2
    assert done.stderr.startswith("rlkit: " + message.format(tmp=tmp_path))
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["in.jsonl"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_grading_keeps_what_is_graded(tmp_path, sent):
    (tmp_path / "slow.py").write_text(
        "import time\ndef slow(completions, **_):\n    time.sleep(0.5)\n    return [1.0] * len(completions)\n"
    )
    source = write_jsonl(tmp_path / "in.jsonl", [{"completion": str(n)} for n in range(20_000)])
    output, partial = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial.jsonl"
    arguments = ["--reward", f"{tmp_path}/slow.py:slow", "--input", str(source), "--output", str(output)]
    process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    rows = read_rows(partial)
    assert not output.exists()
    assert len(rows) >= 256 and all(row["reward"] == 1.0 for row in rows)
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert f"interrupted; {len(rows)} of 20000 rows are graded; they are in {partial}" in errors


def test_rows_that_do_not_fit_into_parquet_stay_readable(tmp_path):
    writer = GradeWriter(tmp_path / "out.parquet")
    rows, grades = [{"a": 1}, {"a": "x"}], [Grade(1.0), Grade(None, "why")]
    writer.write(rows, grades)
    with pytest.raises(ValueError, match=r"do not fit into .*out\.parquet .* they are in .*partial\.jsonl"):
        writer.finish(rows, grades)
    assert [row["reward_error"] for row in read_rows(writer.partial)] == [None, "why"]


def test_without_a_sandbox_nothing_is_graded_or_written(tmp_path, monkeypatch):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"completion": "x = 1", "test_list": ["assert x == 1"]}) + "\n")
    out = tmp_path / "out.jsonl"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RLKIT_UNSANDBOXED_CODE", raising=False)
    command = [sys.executable, "-m", "rlkit.cli", "grade", "--reward", "rewards.code:mbpp"]
    done = subprocess.run(
        [*command, "--input", str(rows), "--output", str(out)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "bubblewrap (bwrap) is not installed" in done.stderr
    assert list(tmp_path.iterdir()) == [rows]


@pytest.mark.usefixtures("sandbox")
def test_golds_of_code_say_what_share_earns_and_why_the_rest_does_not(tmp_path):
    good = {"inputs": ["2", "3"], "outputs": ["4", "9"], "solution": "print(int(input()) ** 2)"}
    rows = [
        good,
        good | {"outputs": ["4", "8"]},
        good | {"outputs": ["5", "9"]},
        good | {"outputs": ["4"]},
        {"entry_point": "Solution().f", "test": "def check(candidate):\n    assert candidate(2) == 4",
         "solution": "class Solution:\n    def f(self, x): return x * x"},
    ]  # fmt: skip
    source, output = write_jsonl(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    done = rlkit_grade(
        *("--reward", "rewards.code:auto", "--input", source, "--output", output),
        *("--golds", "--gold-column", "solution"),
    )
    assert done.returncode == 0, done.stderr
    assert "3 golds do not earn 1: rows 2, 3, 4\n2 of 5 golds earn 1 (40.0%)\n" in done.stdout
    assert "  2: case 2: '9\\n' where '8' is expected (rows 2, 3)\n" in done.stdout
    assert "  1: the row has 2 inputs and 1 outputs (rows 4)\n" in done.stdout
    assert [row["reward"] for row in read_rows(output)] == [1.0, 0.0, 0.0, None, 1.0]
    assert [bool(row["reward_error"]) for row in read_rows(output)] == [False, True, True, True, False]
