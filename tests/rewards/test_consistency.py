"""Guards the judge's item of consistency: what is asked, and that no grade is None."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "verify"))

from judge_server import error, grades, judge_server

from rewards.consistency import ITEM, consistency


def test_a_judge_is_asked_for_each_completion(monkeypatch):
    def answer(number: int, request: dict) -> tuple:
        text = json.dumps(request)
        return error(400) if "garbage" in text else grades("90" if "so 4" in text else "10")

    with judge_server(answer) as server:
        monkeypatch.setenv("RLKIT_JUDGE_URL", server.url)
        monkeypatch.setenv("RLKIT_JUDGE_MODEL", "judge")
        completions = ["2 + 2 = 4, so 4", "2 + 2 = 4, so five", "garbage"]
        assert asyncio.run(consistency(completions, ["2 + 2?"] * 3)) == [0.9, 0.1, None]
    assert all(ITEM["question"] in request["messages"][-1]["content"] for request in server.requests)
