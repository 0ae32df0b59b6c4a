"""Guards the server: nothing without the token, from elsewhere, or by a path; commands land in the folder."""

import http.client
import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served import TOKEN, serving

from rlkit.live.files import Requests, hold_life, write_status
from rlkit.settings.config import CurriculumConfig

PATHS = (
    "/",
    "/api/run",
    "/api/status",
    "/api/metrics",
    "/api/events",
    "/api/openapi.json",
    "/api/commands/x",
)
STATUS = {
    "state": "running",
    "step": 1,
    "max_steps": 9,
    "can_evaluate": False,
    "settings": {"learning_rate": 1e-3, "temperature": 1.0, "reward_weight.even": 1.0, "max_rounds": 10},
    "began": {"learning_rate": 1e-3, "temperature": 1.0, "reward_weight.even": 1.0, "max_rounds": 10},
    "config": CurriculumConfig("dapo", max_rounds=10).numbers(),
    "curriculum": "dapo",
    "range_of_total": False,
    "aside": {"keys": [], "categories": []},
    "categories": [],
}
ROW = {"step": 1, "signal/all": 0.5, "rollouts/spent_total": 16.0, "seconds/total": 1.0}


@pytest.fixture
def run(tmp_path):
    """A run's folder as a run that lives has it."""
    (tmp_path / "live").mkdir()
    (tmp_path / "metrics.jsonl").write_text(json.dumps(ROW) + "\n")
    write_status(tmp_path, STATUS)
    life = hold_life(tmp_path)
    yield tmp_path
    life.release()


def test_nothing_is_read_or_asked_without_the_token(run):
    with serving(run) as client:
        for path in PATHS:
            for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x"):
                status, _, text = client("GET", path, token=token)
                assert status in (401, 303) and "learning_rate" not in text
        for headers in ({"Cookie": f"rlkit_live_{client.port}=forged"}, {"Authorization": "Basic eDp5"}):
            assert client("GET", "/api/status", headers=headers, token=None)[0] == 401
        assert client("POST", "/api/commands", {"name": "stop"}, token=None)[0] == 401
        assert client("GET", "/api/nowhere", token=None)[0] == 401
        assert client("GET", "/api/status")[0] == 200
    assert Requests(run).new() == []


def test_a_log_in_gives_a_cookie_that_scripts_cannot_see(run):
    with serving(run) as client:
        wrong = client("POST", "/login", {"token": "wrong", "who": "Ada"}, token=None)
        assert wrong[0] == 401 and "set-cookie" not in wrong[1]
        status, headers, _ = client("POST", "/login", {"token": TOKEN, "who": "Ada"}, token=None)
        cookie = headers["set-cookie"]
        assert status == 200 and "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
        session = {"Cookie": cookie.split(";")[0]}
        assert client("GET", "/api/status", headers=session, token=None)[0] == 200
        body = {"name": "note", "value": "hello", "who": "somebody else"}
        assert client("POST", "/api/commands", body, session, token=None)[0] == 202
    assert [(command.name, command.who) for command in Requests(run).new()] == [("note", "Ada")]


def test_a_page_elsewhere_cannot_post_nor_read(run):
    with serving(run) as client:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://localhost:{client.port + 1}"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert client("POST", "/api/commands", {"name": "stop"}, headers)[0] == 403
        for host in ("evil.example", f"evil.example:{client.port}", "127.0.0.1", ""):
            assert client("GET", "/api/status", headers={"Host": host})[0] in (400, 421)
        own = {"Origin": f"http://127.0.0.1:{client.port}"}
        assert client("POST", "/api/commands", {"name": "note", "value": "mine"}, own)[0] == 202
    assert len(Requests(run).new()) == 1


def test_answers_are_for_no_frame_cache_or_guess(run):
    with serving(run) as client:
        for path in ("/", "/login", "/api/status"):
            headers = client("GET", path)[1]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
        page = client("GET", "/")[2]
        assert "default-src 'none'; script-src 'sha256-" in page and "connect-src 'self'" in page


def test_a_body_has_bounds(run):
    with serving(run) as client:
        assert client("POST", "/api/commands", "x" * (512 * 1024 + 1))[0] == 413
        assert client("POST", "/api/commands", iter([b"{}"]), {"Transfer-Encoding": "chunked"})[0] == 411
        for body in ("", "[]", "NaN", "{", '{"name": "set"}', "[" * 5000, b"\xff\xfe"):
            assert client("POST", "/api/commands", body)[0] == 422


def test_a_wrong_value_is_refused_in_words_and_not_sent(run):
    with serving(run) as client:
        for name, value, words in (
            ("set", {"max_rounds": 0}, "max_rounds (0) must be at least 1"),
            ("set", {"temperature": 0.5, "learning_rate": 2}, "learning_rate (2) must lie in"),
            ("set", {"learning_rate": "fast"}, "must be a number"),
            ("load", 3, "there is no such checkpoint; there are: none yet"),
            ("evaluate", None, "nothing to evaluate on"),
            ("load", "../x", "wants the step of a checkpoint"),
        ):
            status, answer = client.ask(name, value)
            assert status == 422 and words in answer["error"]
    assert Requests(run).new() == []


def test_a_command_sent_twice_counts_once(run):
    uuid = "6f1c2a34-0f5e-4c52-9a0e-0d1f1b8f7a11"
    with serving(run) as client:
        first = client.ask("set", {"learning_rate": 5e-4}, who="ada", uuid=uuid)
        assert first[0] == client.ask("pause", uuid=uuid)[0] == 202
        assert client.json("GET", f"/api/commands/{uuid}")[1]["state"] == "requested"
    assert [command.value for command in Requests(run).new()] == [{"learning_rate": 5e-4}]


def test_many_senders_lose_nothing(run):
    with serving(run) as client:
        threads = [
            threading.Thread(target=lambda: [client.ask("note", "x" * 500) for _ in range(10)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(Requests(run).new()) == 80


def test_a_run_that_has_died_takes_nothing(tmp_path):
    (tmp_path / "live").mkdir()
    (tmp_path / "metrics.jsonl").write_text(json.dumps(ROW) + "\n")
    with serving(tmp_path) as client:
        assert "takes no commands: start it with --live true" in client.ask("pause")[1]["error"]
        write_status(tmp_path, STATUS)
        assert client.json("GET", "/api/status")[1]["status"]["alive"] is False
        assert "the run is over" in client.ask("pause")[1]["error"]


def test_a_step_streams_within_two_seconds(run):
    with serving(run) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.readline() == b"event: panel\n"
        assert json.loads(answer.readline().removeprefix(b"data: "))["status"]["alive"] is True
        start = time.monotonic()
        with (run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**ROW, "step": 2}) + "\n")
        lines = iter(answer.readline, b"")
        assert next(line for line in lines if line.startswith(b"event: steps"))
        assert json.loads(next(lines).removeprefix(b"data: "))[0]["step"] == 2
        assert time.monotonic() - start < 2
        connection.close()


def test_hostile_requests_are_answered_and_reach_nothing(run):
    """Methods, paths and bodies at random."""
    with serving(run) as client:

        @settings(max_examples=150)
        @given(
            st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
            st.sampled_from(
                [*PATHS[:4], "/login", "/api/commands", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc"]
            )
            | st.text(st.sampled_from("abc/.%20~;?&="), max_size=20).map("/".__add__),
            st.binary(max_size=60),
        )
        def hostile(method, path, body):
            status, _, text = client(method, path, body, token=TOKEN if len(body) % 2 else None)
            assert status < 500 and "root:" not in text

        hostile()
        assert client("GET", "/api/status")[0] == 200
    assert Requests(run).new() == []
