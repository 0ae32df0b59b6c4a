"""Guards STAT-Syn against real HTTP servers: what is kept, garbage, limits, a kill, a server that dies."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "verify"))

from judge_server import error, grades, judge_server

from rlkit.cli import app
from rlkit.prompts.files import read_rows
from rlkit.synthesize.messages import read_questions
from rlkit.synthesize.skills import make_tasks
from rlkit.synthesize.synthesize import Address, agreeing, synthesize
from rlkit.synthesize.teacher import Limits

FAILED = [{"question": f"Hard {i}?", "missing_skills": ["adding", "carrying"]} for i in range(3)]
EXAMPLES = [{"question": f"{i}+{i}?", "skills": ["adding"] if i % 2 else ["carrying"]} for i in range(8)]


def asks(request):
    return request["messages"][0]["content"]


def priced(reply, tokens=10):
    reply[1]["usage"] = {"prompt_tokens": 4, "completion_tokens": tokens - 4, "total_tokens": tokens}
    return reply


def teach(number, request):
    """Two questions a request, of its examples' numbers; of three solutions two agree in two spellings."""
    if "<question>" in asks(request):
        numbers = "".join(re.findall(r"(\d)\+", asks(request)))
        return priced(
            grades(f"<question>New {numbers}a?</question> and <question>New {numbers}b?</question>")
        )
    return priced(grades("Half: \\boxed{0.5}", "So \\boxed{\\frac{1}{2}}", "I say \\boxed{7}"))


@pytest.fixture
def files(tmp_path):
    for name, rows in (("failed", FAILED), ("train", EXAMPLES)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def command(files, url, *more):
    arguments = ["synthesize", str(files / "failed.jsonl"), "--examples", str(files / "train.jsonl")]
    return [*arguments, "--url", url, "--model", "teacher", "--out", str(files / "new.jsonl"), *more]


def run(files, answer, *more):
    """The command's result, and the requests that a server got."""
    with judge_server(answer) as server:
        result = CliRunner().invoke(app, command(files, server.url, *more))
    return result, server.requests


def test_the_answer_that_two_solutions_state():
    assert agreeing(["\\boxed{1/2}", None, "\\boxed{0.5}", "\\boxed{2}"]) == (
        "1/2",
        ["\\boxed{1/2}", "\\boxed{0.5}"],
    )
    assert agreeing(["\\boxed{1}", "\\boxed{2}", "\\boxed{3}"]) is None
    assert agreeing(["I do not know", "no idea", ""]) is None and agreeing([]) is None


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("<question>a\nb</question>x<question> c </question><question>d</question>", ["a\nb", "c"]),
        ("<question>a</question><question>a</question>", ["a"]),
        ("1. What is 2+2?", []),
        ("<question> </question>", []),
        (None, []),
    ],
)
def test_questions_are_what_stands_between_marks(text, questions):
    assert read_questions(text) == questions


def test_a_task_for_each_failed_question_and_skill():
    """Three examples of the skill, the same whatever else is there; skills without one are told."""
    failed = [{"missing_skills": ["adding", "dividing"]}, {"category": "carrying"}]
    tasks, lacking = make_tasks(failed, ["x", "y"], EXAMPLES, seed=0)
    assert [(task.failed, task.skill) for task in tasks] == [("x", "adding"), ("y", "carrying")]
    assert all(len(set(task.examples)) == 3 for task in tasks) and lacking == ["dividing"]
    assert all(position % 2 for position in tasks[0].examples)
    assert make_tasks(failed[1:], ["y"], EXAMPLES, seed=0)[0] == tasks[1:]
    assert make_tasks([{"category": 0}], ["y"], [{"category": 0}], seed=0)[0][0].skill == "0"
    with pytest.raises(ValueError, match="row 0 names no skill"):
        make_tasks([{"skills": [None, " "], "category": ""}], ["x"], EXAMPLES, 0)
    with pytest.raises(ValueError, match="row 0 names no skill"):
        make_tasks([{}], ["x"], EXAMPLES, 0)
    with pytest.raises(ValueError, match="examples: no row names its skills"):
        make_tasks(failed, ["x", "y"], [{}], 0)


def test_what_two_solutions_agree_on_is_kept(files):
    result, requests = run(files, teach)
    assert result.exit_code == 0, result.exception
    rows = read_rows(files / "new.jsonl")
    questions = {row["question"] for row in rows}
    assert len(rows) == len(questions) and all(question.startswith("New") for question in questions)
    row = rows[0]
    assert row["answer"] == "0.5" and len(row["solutions"]) == 2
    assert row["prompt"] == [{"role": "user", "content": row["question"]}]
    assert row["completion"][0]["content"] == "Half: \\boxed{0.5}"
    assert (row["failed_question"], row["skill"], row["teacher"]) == ("Hard 0?", "adding", "teacher")
    solved = [request for request in requests if "<question>" not in asks(request)]
    assert all(request["n"] == 3 for request in solved) and {asks(each)[-6:-2] for each in solved}
    asked = [asks(request) for request in requests if request not in solved]
    assert {text.count("</question>") for text in asked} == {4}  # three examples, and the instruction's mark
    assert 1 < len(asked) == len(set(asked)) <= 6, "the same examples are asked about once"
    again, requests = run(files, teach)
    assert again.exit_code == 0 and requests == [] and read_rows(files / "new.jsonl") == rows


def test_garbage_copies_and_refusals_are_counted_and_skipped(files):
    """Of six tasks one gets no question, one a copy, one a refusal, one something that is no reply at all."""

    def answer(number, request):
        if "<question>" not in asks(request):
            return teach(number, request)
        return {
            1: grades("Sure!"),
            2: grades("<question>3+3?</question>"),
            3: error(400),
            4: (200, "{}", {}),
        }.get(number, teach(number, request))

    result, _ = run(files, answer, "--concurrent", "1")
    assert result.exit_code == 0, result.exception
    counted = {name: int(num) for num, name in re.findall(r"^ +(\d+) (.+)$", result.stdout, re.MULTILINE)}
    assert counted["replies without a question"] == counted["refused"] == counted["garbage"] == 1
    assert counted["copies"] >= 1 and counted["kept questions"] == len(read_rows(files / "new.jsonl"))


def raw(*contents, **more):
    """A reply whose messages hold anything."""
    reply = grades(*[""] * len(contents))
    for choice, content in zip(reply[1]["choices"], contents, strict=True):
        choice["message"]["content"] = content
    reply[1].update(more)
    return reply


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (raw([{"type": "text", "text": "<question>a</question>"}]), "garbage: 4"),
        (raw(), "garbage: 4"),
        (raw(None), "replies without a question: 4"),
        (raw("Hm.", usage={"total_tokens": "many"}), "replies without a question: 4"),
        ((200, {"choices": None}, {}), "garbage: 4"),
        ((200, "<html>", {"Content-Type": "text/html"}), "garbage: 4"),
        (error(422), "refused: 4"),
    ],
)
def test_no_reply_breaks_it_now_or_when_it_is_read_again(tmp_path, reply, said):
    """What is in the file of replies is read at the next call too."""
    failed = [{"question": "Hard?", "skills": [f"{n}"]} for n in range(4)]
    examples = [{"question": f"Easy {n}?", "skills": [f"{n}"]} for n in range(4)]
    for _ in range(2):
        with (
            judge_server(lambda number, request: reply) as server,
            pytest.raises(ValueError, match=f"nothing was kept of what teacher wrote.*{said}"),
        ):
            synthesize(failed, examples, tmp_path / "new.jsonl", Address(server.url, "teacher"))


def test_a_server_that_knows_no_n_is_said(files):
    """One solution of three: no two can agree."""
    result, _ = run(files, lambda n, request: raw(teach(n, request)[1]["choices"][0]["message"]["content"]))
    assert isinstance(result.exception, ValueError)
    assert re.search(r"fewer texts than asked for: [1-9].*questions: [1-9]", str(result.exception))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_half_a_character_is_written_as_a_question_mark(tmp_path, suffix):
    out = tmp_path / f"new{suffix}"

    def answer(number, request):
        if "<question>" in asks(request):
            return raw("<question>\ud800 and 1?</question>")
        return raw(*["\udfff is \\boxed{5}"] * 3)

    with judge_server(answer) as server:
        synthesize(FAILED, EXAMPLES, out, Address(server.url, "teacher"))
    row = read_rows(out)[0]
    assert row["question"] == "? and 1?" and row["completion"][0]["content"] == "? is \\boxed{5}"


def test_an_error_of_many_lines_is_one(files):
    page = (403, "<html>\n<body>\nno\n", {"Content-Type": "text/html"})
    result, _ = run(files, lambda number, request: page, "--concurrent", "1")
    assert "is not to be had (PermissionDenied" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_rate_limit_is_waited_for(files):
    with judge_server(
        lambda n, request: error(429, Retry_After="1") if n == 1 else teach(n, request)
    ) as server:
        result = CliRunner().invoke(app, command(files, server.url, "--concurrent", "1"))
    assert result.exit_code == 0 and server.times[1] - server.times[0] >= 1


@pytest.mark.parametrize(("option", "value", "most"), [("--max-requests", 7, 7), ("--max-tokens", 55, 6)])
def test_a_budget_ends_it_and_a_larger_one_goes_on(files, option, value, most):
    """At 10 tokens a request, 55 tokens are spent with the sixth; the budget counts the calls before."""
    more = ("--concurrent", "1")
    result, requests = run(files, teach, option, str(value), *more)
    assert len(requests) == most
    assert (result.exit_code == 0 and "the budget is spent" in result.output) or "the budget is spent" in str(
        result.exception
    )
    assert run(files, teach, option, str(value), *more)[1] == []
    finished, rest = run(files, teach, *more)
    assert finished.exit_code == 0
    other = files / "other"
    other.mkdir()
    for name in ("failed", "train"):
        (other / f"{name}.jsonl").write_bytes((files / f"{name}.jsonl").read_bytes())
    _, straight = run(other, teach, *more)
    assert most + len(rest) == len(straight)
    assert read_rows(files / "new.jsonl") == read_rows(other / "new.jsonl")


def test_after_kill_9_nothing_is_asked_twice(files):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def slowly(number, request):
        time.sleep(0.1)
        return teach(number, request)

    with judge_server(slowly) as server:
        arguments = [sys.executable, "-m", "rlkit.cli", *command(files, server.url, "--concurrent", "1")]
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
        while len(server.requests) < 6:
            time.sleep(0.02)
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (files / "new.jsonl").exists()
        before = len(server.requests)
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        asked = [json.dumps(request) for request in server.requests]
        assert before >= 6 and len(asked) - len(set(asked)) <= 1  # the one that was under way
    assert len(read_rows(files / "new.jsonl")) > 0


def test_a_server_that_dies_is_said_and_gone_on_from(files):
    """The third answer is its last: one line that says so, no file, and the first two are not asked again."""
    result, requests = run(
        files, lambda n, request: error(503, Retry_After="0") if n > 2 else teach(n, request)
    )
    assert isinstance(result.exception, ValueError) and not (files / "new.jsonl").exists()
    assert "is not to be had (InternalServerError" in str(result.exception)
    assert "call again to go on" in str(result.exception)
    again, rest = run(files, teach)
    assert again.exit_code == 0 and not {json.dumps(each) for each in requests[:2]} & set(
        map(json.dumps, rest)
    )


def test_a_server_that_is_gone_is_said(files):
    """Nobody listens at its port any more."""
    with judge_server(teach) as server:
        CliRunner().invoke(app, command(files, server.url, "--max-requests", "7"))
    with pytest.raises(ValueError, match=r"is not to be had \(APIConnectionError.*call again to go on"):
        synthesize(
            FAILED, EXAMPLES, files / "new.jsonl", Address(server.url, "teacher"), Limits(max_retries=0)
        )


def test_nothing_kept_says_what_came(files):
    result, _ = run(files, lambda number, request: priced(grades("I am a teapot")))
    assert isinstance(result.exception, ValueError) and not (files / "new.jsonl").exists()
    assert "nothing was kept of what teacher wrote" in str(result.exception)
    assert "replies without a question: 6" in str(result.exception)


def test_a_wrong_key_is_one_line(files):
    result, requests = run(files, lambda number, request: error(401), "--concurrent", "1")
    assert "AuthenticationError" in str(result.exception) and len(requests) == 1
