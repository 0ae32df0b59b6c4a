"""Guards the checklist: the weighted mean by hand, programs in the sandbox, a judge behind real HTTP."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "verify"))

from judge_server import error, grades, judge_server

from rewards.checklist import Checklist, Item, read_checklist, run_check, weighted_mean
from rlkit.verify.judge import Judge
from rlkit.verify.rewards import check_reward, grade
from rlkit.verify.sandbox import isolation

SHORT = "def check(completion):\n    return len(completion) < 10\n"
POLITE = {"weight": 75, "question": "Is it polite?"}


@pytest.fixture(scope="session")
def sandbox():
    """Skips where programs cannot be isolated, and says why."""
    try:
        isolation()
    except ValueError as reason:
        pytest.skip(str(reason))


def score(reward, texts, items):
    rows = [{"prompt": "Say hello.", "checklist": items} for _ in texts]
    return grade(reward, texts, rows)


def polite(number, request):
    return grades("80" if "please" in request["messages"][1]["content"] else "20")


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([(Item(75, "?"), 0.4, None), (Item(25, None, "p"), None, 1.0)], 0.55),
        ([(Item(50, "?", "p"), 0.4, 1.0)], 0.7),
        ([(Item(50, "?", "p"), 0.4, None)], 0.4),
        ([(Item(50, None, "p"), None, None), (Item(10, "?"), 0.4, None)], 0.4),
        ([(Item(50, None, "p"), None, None)], None),
        ([(Item(50, "?"), None, None), (Item(50, None, "p"), None, 1.0)], None),
        ([(Item(0, "?"), 1.0, None)], None),
        ([], None),
    ],
)
def test_weighted_mean(scored, expected):
    assert weighted_mean(scored) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"weight": 1}, "must be a list"),
        ([1], "must be a list"),
        ([{"weight": 1}], "a question or a program"),
        ([{"weight": 101, "question": "?"}], "from 0 to 100"),
        ([{"weight": True, "question": "?"}], "must be a number"),
        ([{"weight": None, "question": "?"}], "must be a number"),
        ([{"question": "?"}], "must be a number"),
    ],
)
def test_a_wrong_checklist_is_named(row, message):
    with pytest.raises(ValueError, match=message):
        read_checklist(row)


def test_checklists_come_as_json_or_with_arrows_empty_fields():
    items = [{"weight": 5, "question": "?", "program": None}]
    assert read_checklist(items) == read_checklist(json.dumps(items)) == [Item(5, "?")]


def test_the_judge_and_the_program_are_weighed(sandbox):
    items = [POLITE, {"weight": 25, "program": SHORT}]
    with judge_server(polite) as server:
        reward = Checklist(Judge(server.url, "judge"))
        scores = score(reward, ["please", "please wait a while", "hi", "go away from here"], items)
        check_reward(reward, [{"prompt": "Say hello.", "checklist": items}])
    assert scores == pytest.approx([0.85, 0.6, 0.4, 0.15])


def test_a_missing_judge_costs_the_rows_that_need_it(sandbox):
    rows = [
        {"prompt": [{"role": "user", "content": "Hello?"}], "checklist": [POLITE]},
        {"prompt": [{"role": "user", "content": "Hello?"}], "checklist": [{"weight": 1, "program": SHORT}]},
    ]
    completions = [[{"role": "assistant", "content": "hi"}]] * 2
    with (
        judge_server(lambda number, request: error(404)) as server,
        pytest.warns(UserWarning, match="left 1"),
    ):
        assert grade(Checklist(Judge(server.url, "judge")), completions, rows) == [None, 1.0]


def test_a_question_without_a_judge_is_a_mistake(monkeypatch):
    monkeypatch.delenv("RLKIT_JUDGE_URL", raising=False)
    with pytest.raises(ValueError, match="RLKIT_JUDGE_URL"):
        score(Checklist(), ["hi"], [POLITE])


def test_programs_need_no_judge(sandbox):
    assert score(Checklist(), ["hi", "a long answer"], [{"weight": 1, "program": SHORT}]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (SHORT, 1.0),
        ("def check(completion): return False", 0.0),
        ("def check(completion): return 'yes'", 1.0),
        ("def check(completion): return 1 / 0", 0.0),
        ("def check(completion): raise SystemExit", 0.0),
        ("def check(completion): return {}[completion]", 0.0),
        ("def chek(completion): return True", None),
        ("check = 3", None),
        ("def check(completion) return True", None),
        ("import no_such_module\ndef check(completion): return True", None),
        ("", None),
    ],
)
def test_a_program_that_fails_is_not_one_that_is_broken(sandbox, program, expected):
    assert run_check(program, "hi") == expected


@pytest.mark.parametrize("text", ["\ud800", "\x00", "x" * 1_000_000])
def test_programs_get_any_text(sandbox, text):
    assert run_check("def check(completion): return len(completion) > 0", text) == 1.0


def test_an_endless_program_is_not_met(sandbox, monkeypatch):
    monkeypatch.setattr("rewards.checklist.LIMITS", type(Checklist.__call__.__globals__["LIMITS"])(1.0, 1))
    assert run_check("def check(completion):\n    while True: pass", "hi") == 0.0


def test_it_runs_inside_an_event_loop():
    with judge_server(polite) as server:
        reward = Checklist(Judge(server.url, "judge"))
        scores = asyncio.run(reward(["please"], checklist=[[POLITE]], prompts=["Say hello."]))
    assert scores == [0.8]
