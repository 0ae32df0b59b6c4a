"""Guards the judge against real HTTP servers: good, slow, hanging, broken, refusing, rate-limiting ones."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parent))

from judge_server import error, grades, judge_server

from rlkit.verify.judge import MAX_CHARS, Judge, Question
from rlkit.verify.judge_cache import JudgeCache
from rlkit.verify.scales import parse_grade

QUESTION = Question("Say hello.", "Hello!", "Is it polite?")


def ask(url, questions=(QUESTION,), **settings):
    return asyncio.run(Judge(url, "judge", **settings).ask(list(questions)))


def many(count):
    return [QUESTION._replace(response=f"Hello {i}") for i in range(count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("85", 0.85), (" 100\n", 1.0), ("0", 0.0), ("85/100.", 0.85), ("40%", 0.4), ("101", None), ("-5", None)]
    + [
        (text, None)
        for text in ("", "85 or 90", "Grade: 85", "8.5", "eighty", "999", "\u0663\u0664", None, 85)
    ],
)
def test_parse_grade(text, expected):
    assert parse_grade(text) == expected


def test_a_good_judge_gets_the_texts_between_markers():
    with judge_server(lambda number, request: grades("85")) as server:
        assert ask(server.url) == [0.85]
    [request] = server.requests
    system, user = (message["content"] for message in request["messages"])
    marker = user.splitlines()[1]
    assert request["model"] == "judge" and request["temperature"] == 0
    assert marker in system and user.count(marker) == 4
    assert f"{marker}\nHello!\n{marker}" in user and user.index("Is it polite?") > user.rindex(marker)
    assert marker not in QUESTION.response


def test_samples_are_averaged_and_what_is_no_grade_is_left_out():
    with judge_server(lambda number, request: grades("80", "I say 100", "60")) as server:
        assert ask(server.url, num_samples=3) == [pytest.approx(0.7)]
    assert server.requests[0]["n"] == 3 and server.requests[0]["temperature"] == 1


def test_equal_questions_are_asked_once_and_order_stays():
    with judge_server(lambda number, request: grades("10" if "bad" in str(request) else "90")) as server:
        bad = QUESTION._replace(response="bad")
        assert ask(server.url, [QUESTION, bad, QUESTION]) == [0.9, 0.1, 0.9]
    assert len(server.requests) == 2


def test_failing_then_well():
    with judge_server(lambda number, request: error(500) if number < 3 else grades("50")) as server:
        assert ask(server.url) == [0.5]
    assert len(server.requests) == 3


def test_a_rate_limit_is_obeyed():
    def answer(number, request):
        return error(429, Retry_After="2") if number == 1 else grades("50")

    with judge_server(answer) as server:
        assert ask(server.url) == [0.5]
    assert server.times[1] - server.times[0] >= 2  # the first back-off would be half a second


def test_a_hanging_attempt_is_repeated():
    release = threading.Event()

    def answer(number, request):
        if number == 1:
            release.wait(20)
        return grades("50")

    with judge_server(answer) as server:
        assert ask(server.url, request_seconds=0.5) == [0.5]
        release.set()


def test_the_batch_ends_in_time_and_keeps_what_came():
    release = threading.Event()

    def answer(number, request):
        if "Hello 1" in request["messages"][1]["content"]:
            release.wait(20)
        return grades("50")

    with judge_server(answer) as server:
        start = time.monotonic()
        with pytest.warns(UserWarning, match="left 1 of 3 questions open .no grade within 1 s"):
            assert ask(server.url, many(3), batch_seconds=1.0) == [0.5, None, 0.5]
        assert time.monotonic() - start < 5
        release.set()


@pytest.mark.parametrize(
    "reply",
    [
        (200, "garbage", {}),
        (200, "garbage", {"Content-Type": "text/html"}),
        (200, {"choices": None}, {}),
        (200, {"choices": []}, {}),
        (200, [], {}),
        (200, "null", {}),
        (200, {"choices": [{"message": {"content": None}}]}, {}),
        (200, {"choices": [{"message": None}]}, {}),
        (200, {"choices": [{"message": {"content": [1]}}]}, {}),
        grades("100 out of 100, as the response tells me"),
    ],
)
def test_garbage_is_no_grade(reply):
    with (
        judge_server(lambda number, request: reply) as server,
        pytest.warns(UserWarning, match="left 1 of 1"),
    ):
        assert ask(server.url) == [None]


def test_a_refused_connection_stops_the_batch_with_one_warning():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert ask(url, many(200), max_concurrent=2, max_retries=1) == [None] * 200
    assert time.monotonic() - start < 10
    assert [("left 200 of 200" in str(w.message)) for w in caught if "judge" in str(w.message)] == [True]


@pytest.mark.parametrize("status", [401, 404])
def test_a_judge_that_refuses_for_good_is_asked_no_more(status):
    with judge_server(lambda number, request: error(status)) as server, pytest.warns(UserWarning):
        assert ask(server.url, many(50), max_concurrent=2) == [None] * 50
    assert len(server.requests) <= 2


def test_a_question_that_is_too_long_costs_itself_only():
    def answer(number, request):
        return error(400) if "Hello 0" in str(request) else grades("50")

    with judge_server(answer) as server, pytest.warns(UserWarning, match="left 1 of 5"):
        assert ask(server.url, many(5), max_concurrent=1) == [None] + [0.5] * 4


def test_no_more_requests_are_open_than_allowed():
    def answer(number, request):
        time.sleep(0.05)
        return grades("50")

    with judge_server(answer) as server:
        assert ask(server.url, many(30), max_concurrent=4) == [0.5] * 30
    assert 2 <= server.most_open <= 4


def test_the_cache_saves_requests_also_of_other_processes(tmp_path):
    cache = tmp_path / "new" / "grades.sqlite3"
    with judge_server(lambda number, request: grades("70")) as server:
        assert ask(server.url, many(3), cache=cache) == [0.7] * 3
        assert ask(server.url, many(4), cache=cache) == [0.7] * 4
        assert len(server.requests) == 4
        code = (
            "import asyncio, sys; from pathlib import Path; from rlkit.verify.judge import Judge, Question\n"
            f"judge = Judge({server.url!r}, 'judge', cache=Path({str(cache)!r}))\n"
            f"print(asyncio.run(judge.ask([Question(*{tuple(many(1)[0])!r})])))"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "[0.7]" and len(server.requests) == 4
        assert ask(server.url, many(1), cache=cache, num_samples=2) == [0.7]  # another sampling, another key
        assert len(server.requests) == 5


def test_what_got_no_grade_is_not_cached(tmp_path):
    cache = tmp_path / "grades.sqlite3"
    with judge_server(lambda number, request: grades("no" if number == 1 else "70")) as server:
        with pytest.warns(UserWarning):
            assert ask(server.url, cache=cache) == [None]
        assert ask(server.url, cache=cache) == [0.7]


def test_a_broken_cache_costs_the_requests_only(tmp_path):
    cache = tmp_path / "grades.sqlite3"
    cache.write_text("not a database, but long enough to look at" * 100)
    good = judge_server(lambda number, request: grades("70"))
    with good as server, pytest.warns(UserWarning, match="cache is not used"):
        assert ask(server.url, cache=cache) == [0.7]


def test_many_processes_write_one_cache(tmp_path):
    path = tmp_path / "grades.sqlite3"
    code = (
        "import sys; from pathlib import Path; from rlkit.verify.judge_cache import JudgeCache\n"
        f"cache = JudgeCache(Path({str(path)!r}))\n"
        "for i in range(30): cache.put(f'{sys.argv[1]}-{i}', (0.5,))\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    cache = JudgeCache(path)
    assert all(cache.get(f"{number}-{i}") == (0.5,) for number in range(3) for i in range(30))
    cache.close()


def test_hostile_texts_are_sent_bounded():
    texts = ["\ud800\x00", "{marker} {0}", "x" * 1_000_000]
    with judge_server(lambda number, request: grades("70")) as server:
        assert ask(server.url, [QUESTION._replace(response=text) for text in texts]) == [0.7] * 3
    assert max(len(json.dumps(request)) for request in server.requests) < MAX_CHARS + 3000


def test_the_environment_names_the_judge(tmp_path):
    judge = Judge("http://x/v1", "m")
    settings = {"RLKIT_JUDGE_URL": "http://x/v1", "RLKIT_JUDGE_MODEL": "m"}
    assert Judge.from_environment(settings) == judge
    more = settings | {"RLKIT_JUDGE_KEY": "k", "RLKIT_JUDGE_CACHE": str(tmp_path)}
    assert Judge.from_environment(more) == replace(judge, api_key="k", cache=tmp_path)
    with pytest.raises(ValueError, match="RLKIT_JUDGE_MODEL is not set"):
        Judge.from_environment({"RLKIT_JUDGE_URL": "http://x/v1"})
    with pytest.raises(ValueError, match="num_samples"):
        Judge("http://x/v1", "m", num_samples=0)
