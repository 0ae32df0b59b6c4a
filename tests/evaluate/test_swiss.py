"""Guards LLM Swiss Round: tournaments by hand, what holds for all, the folders that are read, speed."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rlkit.cli import app
from rlkit.evaluate.swiss import expected_wins, failure_sensitivity, pair, play

FALLING = np.array([4.0, 3.0, 2.0, 1.0])


def test_four_models_of_known_order():
    """Whoever meets first: a wins twice, b and c once (winners meet winners, losers losers), d never."""
    standing = expected_wins(np.array([FALLING, FALLING]), num_shuffles=2000)
    assert standing.wins_M.tolist() == [2, 1, 1, 0] and standing.error_M.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rounds", "drop", "wins"),
    [
        (1, 0, [1, 2 / 3, 1 / 3]),  # one of three has a bye: c's only win, b loses to a alone
        (2, 1, [2, 2 / 3, 1 / 3]),  # then the loser is out, and a beats the other
    ],
)
def test_three_models_and_a_bye(rounds, drop, wins):
    standing = expected_wins(np.array([FALLING[:3]] * rounds), drop, num_shuffles=30_000)
    assert np.abs(standing.wins_M - wins).max() < 4 * 0.5 / np.sqrt(30_000)
    assert standing.error_M[1] == pytest.approx(np.sqrt(2 / 9 / 30_000), rel=0.02)


def test_nobody_is_met_again_while_there_is_another():
    """a has met b, and c d: a meets c, b meets d. With all met, neighbours meet."""
    met = np.zeros((1, 4, 4), dtype=bool)
    for one, other in ((0, 1), (2, 3)):
        met[0, one, other] = met[0, other, one] = True
    assert pair(np.array([[0, 1, 2, 3]]), met).tolist() == [[2, 3, 0, 1]]
    assert pair(np.array([[0, 1, 2, 3]]), np.ones_like(met)).tolist() == [[1, 0, 3, 2]]
    assert pair(np.array([[2, 0, 1]]), np.zeros((1, 4, 4), dtype=bool)).tolist() == [[0, 2, 1]]


@given(
    scores=st.integers(2, 7).flatmap(
        lambda num: st.lists(st.lists(st.integers(0, 3), min_size=num, max_size=num), min_size=1, max_size=5)
    ),
    drop=st.integers(0, 2),
)
def test_what_holds_for_every_tournament(scores, drop):
    """Each round gives a win a pair and one for a bye; the best of every round wins all."""
    score_KM = np.array(scores, dtype=float)
    rounds, num = score_KM.shape
    wins_SM = play(score_KM, drop, 50, np.random.default_rng(0))
    left = [max(2, num - drop * k) for k in range(rounds)]
    assert (wins_SM.sum(1) == sum((count + 1) // 2 for count in left)).all()
    assert ((wins_SM >= 0) & (wins_SM <= rounds)).all()
    best = [m for m in range(num) if all((np.delete(row, m) < row[m]).all() for row in score_KM)]
    for m in best:
        assert (wins_SM[:, m] == rounds).all()
    equal = play(np.zeros_like(score_KM), 0, 50, np.random.default_rng(0))
    if num % 2 == 0:
        assert (equal == rounds / 2).all()


def test_the_slope_over_models_that_are_out():
    assert failure_sensitivity(np.array([[3.0, 1.0], [2.0, 1.5], [1.0, 2.0]])) == pytest.approx([-1, 0.5])


def test_a_hundred_thousand_shuffles_take_seconds():
    """10 models, 5 benchmarks: 1.5 s on an idle core (LOG.md), the bound allows for a busy one."""
    start = time.process_time()
    expected_wins(np.random.default_rng(0).random((5, 10)))
    assert time.process_time() - start < 20


def save(folder, **accuracies):
    for benchmark, accuracy in accuracies.items():
        path = folder / benchmark
        path.mkdir(parents=True)
        (path / "summary.json").write_text(json.dumps({"accuracy": accuracy}))
        (path / "manifest.json").write_text(json.dumps({"benchmark": benchmark, "seed": 0}))


def test_folders_are_ranked_beside_their_means(tmp_path):
    """steady wins two of three rounds by little, lucky one by much: the means say the other way round."""
    save(tmp_path / "out" / "steady", a=0.51, b=0.51, c=0.1)
    save(tmp_path / "out" / "lucky", a=0.5, b=0.5, c=0.9, d=1.0)
    out = tmp_path / "rank.json"
    result = CliRunner().invoke(app, ["rank", str(tmp_path / "out"), "--shuffles", "100", "--out", str(out)])
    assert result.exit_code == 0, result.exception
    text = result.stdout
    assert "steady expects more wins than lucky (2.000 and 1.000), which has the higher mean" in text
    assert "d is left out: not all models have it" in text
    numbers = json.loads(out.read_text())
    assert numbers["benchmarks"] == ["a", "b", "c"]
    assert [(each["model"], each["wins"][0]) for each in numbers["models"]] == [("steady", 2), ("lucky", 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one/x"], "hold 1 evaluated model (x); two are needed"),
        (["one", "nothing"], "nothing holds no finished evaluation"),
        (["one", "other"], "share no benchmark (x: a; y: b)"),
        (["one", "one/x", "other", "--benchmarks", "a"], "benchmark a is not finished for y"),
        (["one", "../%/one"], "hold 1 evaluated model (x); two are needed"),  # one folder by two names
        (["one", "one", "nan"], "accuracy (nan) is not a number"),
        (["one", "cut"], "is no summary of `rlkit eval`"),
        (["one", "two", "--benchmarks", "a,a"], "benchmark a is named twice"),
    ],
)
def test_what_cannot_be_ranked_says_why(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "one" / "x", a=0.5)
    save(tmp_path / "other" / "y", b=0.5)
    save(tmp_path / "two" / "z", a=0.5)
    save(tmp_path / "nan" / "z", a=float("nan"))
    save(tmp_path / "cut" / "z", a=0.5)
    (tmp_path / "cut" / "z" / "a" / "summary.json").write_text('{"accur')
    (tmp_path / "nothing").mkdir()
    arguments = [word.replace("%", tmp_path.name) for word in arguments]
    result = CliRunner().invoke(app, ["rank", *arguments])
    assert isinstance(result.exception, ValueError) and said in str(result.exception)


def test_equal_models_have_one_place_and_share_their_rounds(tmp_path):
    """Half a win each; in the table both are first by their means, and nothing disagrees."""
    for name in ("x", "y"):
        save(tmp_path / name, a=0.5, b=0.25)
    out = tmp_path / "rank.json"
    result = CliRunner().invoke(
        app, ["rank", str(tmp_path / "x"), str(tmp_path / "y"), "--shuffles", "50", "--out", str(out)]
    )
    assert result.exit_code == 0 and "expects more wins" not in result.stdout
    assert [each["wins"] for each in json.loads(out.read_text())["models"]] == [[1, 1, 1], [1, 1, 1]]
