"""Guards the numbers of an evaluation against rows counted by hand."""

import pytest

from rlkit.evaluate.chunk import Chunk
from rlkit.evaluate.rows import Row
from rlkit.evaluate.statistics import ock_score
from rlkit.evaluate.summary import summarize


def row(problem, sample, reward, answer="x", group=0, tokens=10, truncated=False, scorable=True):
    correct = reward is not None and reward >= 1
    return Row("b", problem, sample, "text", reward, correct, scorable, answer, group, tokens, 90, truncated)


ROWS = [
    row("a", 0, 1.0),
    row("a", 1, 1.0),
    row("a", 2, 0.5, group=1),
    row("b", 0, 0.0, tokens=30, truncated=True),
    row("b", 1, None, answer=None, group=-1),
    row("b", 2, 1.0, group=1),
    *(row("c", sample, None, scorable=False) for sample in range(3)),
]


def test_numbers_by_hand():
    summary = summarize(Chunk(ROWS, 2.0, 0.5, num_reward_errors=1), has_votes=True, seed=0)
    assert (summary.num_problems, summary.num_samples) == (3, 3)
    assert summary.accuracy == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert summary.pass_at_k == pytest.approx({1: 0.5, 2: (1 + 2 / 3) / 2, 3: 1.0})
    # a wins with three votes; with two, once outright and twice by half. b ties with three.
    assert summary.majority_at_k == pytest.approx({2: (2 / 3 + (1 / 2 + 0 + 1) / 3) / 2, 3: (1 + 1 / 2) / 2})
    assert (summary.num_unscorable_problems, summary.num_unscorable_completions) == (1, 1)
    assert summary.mean_reward == pytest.approx(3.5 / 5)
    assert summary.total_tokens == 110 and summary.mean_tokens == pytest.approx(110 / 9)
    assert summary.truncated == summary.unparseable == pytest.approx(1 / 9)
    assert summary.mean_total_tokens == pytest.approx(90 + 110 / 9)
    assert summary.ock_score == ock_score(summary.accuracy, summary.mean_total_tokens)
    assert summary.tokens_per_second == 55 and summary.num_reward_errors == 1


def test_one_sample_has_wilsons_interval_and_no_votes_elsewhere():
    rows = [row(str(i), 0, float(i < 5)) for i in range(10)]
    summary = summarize(Chunk(rows, 1.0, 0.0, 0), has_votes=False, seed=0)
    assert summary.accuracy_interval == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert summary.majority_at_k == {} and summary.pass_at_k == {1: 0.5}
