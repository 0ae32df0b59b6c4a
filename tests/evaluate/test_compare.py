"""Guards the comparison of two evaluated folders: numbers by hand, problems that differ, wording, errors."""

import json
from dataclasses import asdict

import pytest

from rlkit.evaluate.compare import POOLED, compare, to_json
from rlkit.evaluate.paired import sign_flip_test
from rlkit.evaluate.rows import Row
from rlkit.evaluate.statistics import ock_score


def evaluated(folder, corrects, benchmark="digits", tokens=10, finished=True, **settings):
    """A folder as `rlkit eval` leaves it: problem -> whether each sample is correct; None: unscorable."""
    rows = [
        Row(
            benchmark=benchmark,
            problem=problem,
            sample=number,
            completion="",
            reward=None if correct is None else float(correct),
            correct=bool(correct),
            scorable=correct is not None,
            answer=None,
            group=-1,
            num_tokens=tokens,
            num_prompt_tokens=5,
            truncated=False,
        )
        for problem, samples in corrects.items()
        for number, correct in enumerate(samples)
    ]
    place = folder / benchmark
    place.mkdir(parents=True, exist_ok=True)
    manifest = {"model": str(folder), "fingerprint": folder.name, "temperature": 1.0, **settings}
    (place / "manifest.json").write_text(json.dumps(manifest))
    (place / "completions.jsonl").write_text("".join(f"{json.dumps(asdict(row))}\n" for row in rows))
    if finished:
        (place / "summary.json").write_text("{}")
    return folder


def test_one_sample_a_problem_by_hand(tmp_path):
    """B solves 9 that A does not, A one that B does not, 5 both: difference 8/15, McNemar's p 22/1024."""
    a = {f"{i}": [i < 6] for i in range(15)}
    b = {f"{i}": [i > 0] for i in range(15)}
    first, second = evaluated(tmp_path / "a", a), evaluated(tmp_path / "b", b, tokens=30)
    (entry,) = compare(first, second).comparisons
    assert entry.accuracy == pytest.approx((6 / 15, 14 / 15))
    assert entry.accuracy_difference.mean == pytest.approx(8 / 15)
    assert entry.accuracy_difference.p_value == 22 / 1024
    assert 0 < entry.accuracy_difference.interval[0] < 8 / 15 < entry.accuracy_difference.interval[1] < 1
    assert entry.accuracy_difference.verdict == "higher"
    assert (entry.tokens, entry.tokens_difference.mean) == ((10.0, 30.0), 20.0)
    assert entry.ock_score == pytest.approx((ock_score(6 / 15, 15), ock_score(14 / 15, 35)))
    (other_way,) = compare(second, first).comparisons
    assert other_way.accuracy_difference.mean == -entry.accuracy_difference.mean
    assert other_way.accuracy_difference.verdict == "lower"


def test_a_model_against_itself_shows_no_difference(tmp_path):
    folder = evaluated(tmp_path / "a", {"x": [True, False], "y": [False, False]})
    report = to_json(compare(folder, folder))
    entry = report["comparisons"][0]["accuracy_difference"]
    assert (entry["mean"], entry["interval"], entry["p_value"]) == (0.0, (0.0, 0.0), 1.0)
    assert entry["verdict"] == "no difference shown"
    json.dumps(report, allow_nan=False)


def test_several_benchmarks_are_pooled_over_their_problems(tmp_path):
    for folder, corrects in (("a", [[1, 0], [0, 0]]), ("b", [[1, 1], [1, 0]])):
        evaluated(tmp_path / folder, {"0": corrects[0]}, "first")
        evaluated(tmp_path / folder, {"0": corrects[1]}, "second")
    report = compare(tmp_path / "a", tmp_path / "b")
    assert [entry.benchmark for entry in report.comparisons] == ["first", "second", POOLED]
    pooled = report.comparisons[-1]
    assert (pooled.num_problems, pooled.accuracy) == (2, (0.25, 0.75))
    assert pooled.accuracy_difference.p_value == sign_flip_test([1, 1]) == 0.5
    assert pooled.accuracy_difference.verdict == "no difference shown", "two problems, whatever the interval"


def test_other_numbers_of_samples_compare_but_do_not_pool(tmp_path):
    evaluated(tmp_path / "a", {"0": [True]}, "first")
    evaluated(tmp_path / "a", {"0": [True]}, "second")
    evaluated(tmp_path / "b", {"0": [True, False]}, "first")
    evaluated(tmp_path / "b", {"0": [True]}, "second")
    report = compare(tmp_path / "a", tmp_path / "b")
    assert [(entry.benchmark, entry.accuracy) for entry in report.comparisons] == [
        ("first", (1.0, 0.5)),
        ("second", (1.0, 1.0)),
    ]


def test_only_common_problems_that_can_be_scored_count_and_the_rest_is_told(tmp_path):
    first = evaluated(
        tmp_path / "a", {"x": [True], "y": [False], "z": [None], "w": [True]}, seed=0, prompts="f00"
    )
    second = evaluated(tmp_path / "b", {"x": [True], "y": [True], "z": [True]}, seed=1, prompts="ba5")
    evaluated(tmp_path / "b", {"x": [True]}, "other")
    report = compare(first, second)
    (entry,) = report.comparisons
    assert (entry.num_problems, entry.accuracy) == (2, (0.5, 1.0))
    assert report.notes == [
        f"other: only in {second}, left out",
        "digits: seed differs (0 and 1)",
        "digits: the prompts' tokens (template, instruction, examples or tokenizer) differ",
        f"digits: problems only in {first}: 1, only in {second}: 0; compared on the 3 that both have",
        "digits: problems left out, as they cannot be scored: 1",
    ]


def test_what_cannot_be_compared_is_told(tmp_path):
    first = evaluated(tmp_path / "out" / "a", {"x": [True]})
    with pytest.raises(ValueError, match=r"is not the folder of an evaluated model; name one .*out/a"):
        compare(tmp_path / "out", first)
    with pytest.raises(ValueError, match="give OUT/<model> of an `rlkit eval"):
        compare(tmp_path / "nowhere", first)
    with pytest.raises(ValueError, match=r"\(digits\) and .* \(other\) share no benchmark"):
        compare(first, evaluated(tmp_path / "b", {"x": [True]}, "other"))
    with pytest.raises(ValueError, match="share no problem that can be scored"):
        compare(first, evaluated(tmp_path / "c", {"y": [True]}))
    with pytest.raises(ValueError, match=r"is not finished: .* call `rlkit eval` again"):
        compare(first, evaluated(tmp_path / "d", {"x": [True]}, finished=False))
