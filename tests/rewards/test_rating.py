"""Guards the rating of a judge's log-probabilities: by hand, behind real HTTP, and where there are none."""

import asyncio
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "verify"))

from judge_server import grades, judge_server

from rewards.rating import Rating
from rlkit.verify.judge import Judge
from rlkit.verify.rewards import grade
from rlkit.verify.scales import moments


def rated(probabilities, text="4", before=()):
    """A chat model's reply with the log-probabilities of its tokens."""
    status, body, headers = grades(text)
    tops = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in probabilities.items()]
    spaces = [{"token": token, "logprob": 0.0, "bytes": None, "top_logprobs": []} for token in before]
    token = {"token": text, "logprob": 0.0, "bytes": None, "top_logprobs": tops}
    body["choices"][0]["logprobs"] = {"content": [*spaces, token]}
    return status, body, headers


def score(answer, texts=("Hello!",), rows=None, **settings):
    logged = {}
    with judge_server(lambda number, request: answer) as server:
        reward = Rating(judge=Judge(server.url, "judge", **settings))
        rows = rows or [{"prompt": "Say hello."} for _ in texts]
        return grade(reward, list(texts), rows, log_extra=logged.__setitem__), logged, server.requests


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=9))
def test_moments_are_of_a_share(weights):
    mean, variance = moments([weight / sum(weights) for weight in weights])
    assert 0 <= mean <= 1 and 0 <= variance <= mean * (1 - mean) + 1e-9


def test_the_expected_rating_by_hand():
    """3 with 0.3, 4 with 0.3, " 4" with 0.3, the rest something else: 11/3 of 5 levels, (11/3 - 1) / 4."""
    found, logged, [request] = score(rated({"3": 0.3, "4": 0.3, " 4": 0.3, "Four": 0.1}, before=[" "]))
    assert found == [pytest.approx(2 / 3)]
    assert logged == {"rating_variance": [pytest.approx(2 / 9 / 16)]}
    assert (request["logprobs"], request["top_logprobs"], request["temperature"]) == (True, 20, 1.0)
    assert "from 1 (not met at all) to 5 (fully met)" in request["messages"][0]["content"]


@pytest.mark.parametrize(
    "answer",
    [grades("4"), rated({"Sure": 0.8, "4": 0.2}, "Sure"), rated({"6": 0.9, "0": 0.1}, "6"), rated({}, " ")],
)
def test_no_probabilities_of_ratings_are_no_rating(answer):
    with pytest.warns(UserWarning, match="not log-probabilities of a number from 1 to 5"):
        found, logged, _ = score(answer)
    assert found == [None] and logged == {"rating_variance": [None]}


def test_a_rows_requirement_counts_and_the_cache_keeps_both_values(tmp_path):
    rows = [{"prompt": "Say hello.", "requirement": "It rhymes."}]
    cache = tmp_path / "judge.sqlite3"
    first, logged, [request] = score(rated({"1": 0.5, "5": 0.5}), rows=rows, cache=cache)
    assert first == [0.5] and logged == {"rating_variance": [0.25]}
    assert "Requirement: It rhymes." in request["messages"][1]["content"]
    with judge_server(lambda number, request: grades("4")) as server:
        judge = Judge(server.url, "judge", cache=cache)
        metrics = {}
        again = Rating(judge=judge)(
            ["Hello!"], ["Say hello."], ["It rhymes."], log_metric=metrics.__setitem__
        )
        assert asyncio.run(again) == [0.5] and metrics == {"rating/variance": 0.25}
        assert server.requests == []


def test_levels_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"rating: levels \(10\) must be from 2 to 9"):
        replace(Rating(), levels=10)
