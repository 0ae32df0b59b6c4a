"""Guards what the page says of a run: numbers by hand, any kind of run, and files that are being written."""

import json

import numpy as np
import pyarrow as pa
import pytest

from rlkit.record.completions import CompletionLog
from rlkit.record.ledger import SCHEMA
from rlkit.record.parts import Parts
from rlkit.report.page import make_page
from rlkit.report.run_calibration import calibration
from rlkit.report.run_completions import LONGEST, completions
from rlkit.report.run_cost import cost
from rlkit.report.run_data import read_run, read_runs, short_names
from rlkit.report.run_groups import read_groups
from rlkit.report.run_problems import problems

NAN = np.nan


def write_ledger(folder, groups) -> None:
    """groups: (step, index, predicted mean, signals, trained) each, and maybe a round."""
    rows = []
    for step, index, predicted, signals, trained, *round in groups:
        rows.append(
            {
                **dict.fromkeys(SCHEMA.names, 0),
                **{"generation": step - 1, "step": step, "index": index, "predicted_mean": predicted},
                **{"signals": signals, "rewards": [2 * signal for signal in signals]},
                **{"lengths": [5] * len(signals), "ages": [0] * len(signals), "reason": "kept"},
                **{"trained": trained, "round": round[0] if round else 0},
            }
        )
    Parts(folder / "ledger", SCHEMA).write(pa.Table.from_pylist(rows, schema=SCHEMA))


def write_metrics(folder, rows, end="\n") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + end)


GROUPS = [
    (1, 7, 0.5, [0.0, 0.0], True),
    (1, 8, 0.5, [0.0, 1.0], True),
    (1, 9, 0.25, [1.0, 1.0], False),
    (2, 7, 0.25, [1.0, 1.0], True),
    (2, 9, 0.75, [0.0, NAN], True),
    (3, 5, 0.75, [NAN, NAN], False),
    (3, 6, 0.75, [0.0, 0.0], False),
    (3, 8, 0.5, [1.0, 0.0], True, -1),  # replayed: not rolled out again
]


def test_prompts_by_hand(tmp_path):
    write_ledger(tmp_path, GROUPS)
    write_metrics(tmp_path, [{"step": step, "pool/coverage": 0.5} for step in (1, 2, 3)])
    found = read_run(tmp_path)["prompts"]
    assert found["visited"] == 4 and found["pool"] == 10, (
        "five were rolled out, half of the pool; one could not be scored"
    )


def test_states_of_prompts(tmp_path):
    write_ledger(tmp_path, GROUPS)
    write_metrics(tmp_path, [{"step": 3}])
    run = read_run(tmp_path)
    found, pool = run["prompts"], run["prompts"]["map"]
    assert dict(zip(pool["index"], pool["state"], strict=True)) == {
        6: "never solved",
        7: "newly solved",
        8: "seen once",
        9: "forgotten",
    }
    [row] = found["tables"]["newly solved"]["rows"]
    assert row == {
        **{"index": 7, "prompt": None, "category": None, "first": 0, "now": 1},
        **{"visits": 2, "trained": 2, "step": 2},
    }
    assert [found["tables"][name]["number"] for name in ("forgotten", "never solved")] == [1, 1]
    assert run["curves"]["reward/all"][-1] == 0, "the reward differs from the signal, and 6 earned none"


def test_calibration_by_hand(tmp_path):
    """Five scored groups: means 0, 1/2, 1, 1, 0 against 1/2, 1/2, 1/4, 1/4, 3/4 and one at 3/4 of mean 0.

    Var(mean) = 0.2014 (six groups: 0 .5 1 1 0 0), differences -.5 0 .75 .75 -.75 -.75.
    Only the second of the five with two completions varies: v / (n - 1) = 0.25, its mean over five 0.05.
    """
    write_ledger(tmp_path, GROUPS)
    found = calibration(read_groups(tmp_path), 0.0, 1.0)
    mean, difference = np.array([0, 0.5, 1, 1, 0, 0]), np.array([-0.5, 0, 0.75, 0.75, -0.75, -0.75])
    assert found["groups"] == 6
    assert found["whole"]["explained"] == pytest.approx(1 - difference.var() / mean.var())
    assert found["whole"]["possible"] == pytest.approx(1 - 0.05 / mean.var())
    assert [(bin["predicted"], bin["observed"], bin["groups"]) for bin in found["bins"]] == [
        (0.25, 1.0, 2),
        (0.5, 0.25, 2),
        (0.75, 0.0, 2),
    ]


def test_the_truth_explains_what_is_possible():
    """Predictions that are the true probabilities explain as much as the page says that they would."""
    rng = np.random.default_rng(0)
    p_P = rng.uniform(size=20_000)
    signal_PG = rng.random((20_000, 8)) < p_P[:, None]
    groups = as_groups(p_P, signal_PG.astype(float))
    found = calibration(groups, 0.0, 1.0)["whole"]
    assert found["explained"] == pytest.approx(found["possible"], abs=0.01)
    assert found["possible"] == pytest.approx(0.8, abs=0.01)  # 1/12 over 1/12 + (1/6) / 8


def as_groups(predicted_P, signal_PG):
    from rlkit.report.run_groups import GroupTable

    num = len(predicted_P)
    mean_P = signal_PG.mean(axis=1)
    same = np.arange(num)
    return GroupTable(
        same, same, same, predicted_P, mean_P, signal_PG.var(axis=1), signal_PG.max(axis=1),
        np.full(num, signal_PG.shape[1]), mean_P, np.ones(num, dtype=bool),
    )  # fmt: skip


def test_cost_by_hand():
    """Of 40 rollouts 10 trained: own cost 1 + 3/4 of 8; 20 s would have bought 2 * 20 / 13 plain steps."""
    row = {
        **{
            "seconds/selection": 0.5,
            "seconds/generation": 3.5,
            "seconds/grading": 0.5,
            "seconds/update": 5.5,
        },
        **{"rollouts/spent": 20, "rollouts/trained": 5, "rollouts/stale": 0, "tokens/generated": 100},
    }
    found = cost([row, row])
    assert found["own_seconds"] == pytest.approx(1 + 0.75 * 8)
    assert found["plain_steps"]["seconds"] == pytest.approx(2 * 20 / 13)
    assert found["plain_steps"]["rollouts"] == pytest.approx(2 * 40 / 10)
    assert found["tokens"] == 200


def test_problems_are_told_with_advice():
    rows = [
        {"step": step, "guards/truncated": float(step > 3), "rollouts/unscorable": 2, "rollouts/spent": 8}
        for step in range(1, 6)
    ]
    guard, unscorable = problems(rows, {})
    assert (guard["name"], guard["steps"], guard["first"], guard["last"]) == ("guard: truncated", 2, 4, 5)
    assert "raise max_completion_length" in guard["advice"]
    assert (
        unscorable["text"].startswith("10 completions had no reward") and "25.0% of 40" in unscorable["text"]
    )
    assert problems([{"step": 1}], {}) == []


def test_advice_leaves_out_what_the_run_does_already():
    rows = [{"step": 1, "guards/effective_ratio": 1.0}]
    [of_uniform], [of_dapo] = (problems(rows, {"curriculum": name}) for name in ("uniform", "dapo"))
    assert "take a curriculum that filters" in of_uniform["advice"]
    assert "take a curriculum that filters" not in of_dapo["advice"]


def test_signals_out_of_range_are_told_where_they_happened():
    """The column counts from the start of the run."""
    [problem] = problems([{"step": step, "signal/out_of_range": 4 * (step > 2)} for step in range(1, 6)], {})
    assert (problem["name"], problem["steps"], problem["first"]) == ("signal out of range", 1, 3)


def test_completions_fit_the_page(tmp_path):
    log = CompletionLog(tmp_path, 1e9)
    for generation in range(50):
        row = {
            "generation": generation,
            "step": generation + 1,
            "index": 3,
            "key": 3,
            "prompt": "p",
            "gold": None,
        }
        texts = (("x" * 50 + "y", 1.0), ("z" * (LONGEST + 10), 0.0))
        log.write(
            [
                {**row, "completion": text, "tokens": 1, "signal": signal, "reward": signal, "rewards": []}
                for text, signal in texts
            ],
            1.0,
        )
    log.flush()
    found = completions(tmp_path, read_groups(tmp_path), 20_000)
    assert found["kept"] == 100 and 4 <= len(found["rows"]) <= 10
    assert [row["rank"] for row in found["rows"][:2]] == ["best", "worst"]
    assert sum(len(row["completion"]) for row in found["rows"]) < 21_000
    assert "[… 10 characters …]" in found["rows"][1]["completion"]
    assert {row["step"] for row in found["rows"]} >= {1}


EMPTY, HALF_A_LINE = "", '{"step": 3, "signal'


@pytest.mark.parametrize("tail", [EMPTY, HALF_A_LINE, '{"step": 3}'])
def test_a_line_that_is_being_written_is_left_out(tmp_path, tail):
    write_metrics(tmp_path, [{"step": 1}, {"step": 2}], end="\n" + tail)
    assert read_run(tmp_path)["step"] == 2


def test_the_ledger_may_lag(tmp_path):
    write_ledger(tmp_path, GROUPS[:3])
    write_metrics(tmp_path, [{"step": 1, "pool/coverage": 0.3}, {"step": 2, "pool/coverage": 0.3}])
    run = read_run(tmp_path)
    assert "up to step 1" in run["notes"][0] and run["prompts"]["pool"] == 10


def test_what_changed_the_run_is_marked(tmp_path):
    rows = [{"step": step, "rollouts/spent_total": 10 * step} for step in (1, 2, 3)]
    write_metrics(tmp_path, rows)
    event = {
        "uuid": "u",
        "time": 1.0,
        "step": 2,
        "command": "set",
        "name": "learning_rate",
        "old": 1.0,
        "new": 0.5,
    }
    event |= {"who": "anna", "state": "done"}
    lines = [event, {**event, "state": "failed", "reason": "no"}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    [mark] = read_run(tmp_path)["marks"]
    assert (mark["steps"], mark["rollouts"], mark["old"], mark["new"]) == (2, 20, 1, 0.5)


def edge_runs(folder, write_run):
    """Runs at the edges of what there is."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "metrics.jsonl").touch()
    yield empty
    yield write_run(folder / "one step", num_steps=1)
    yield write_run(folder / "predicts nothing", "uniform", keep="none")
    yield write_run(folder / "graded", "rlkit", keep="all", reward_parts=5)
    yield write_run(folder / "filtered", "dapo", difficulty_sd=9.0)


def test_every_kind_of_run_has_a_page(tmp_path, write_run, opened):
    """Drawn in a browser without an error, together and each alone."""
    folders = list(edge_runs(tmp_path, write_run))
    empty, one, uniform, graded, _ = runs = read_runs(folders)
    assert set(empty["sentences"].values()) == {"The run has not finished a step yet."}
    assert one["step"] == 1 and "in 1 step (" in one["sentences"]["learning"]
    assert uniform["calibration"] is None and "predicts nothing" in uniform["sentences"]["knowledge"]
    assert any(0 < value < 1 for value in graded["prompts"]["map"]["now"])
    for name, chosen in [("all", runs), *((run["name"], [run]) for run in runs)]:
        path = tmp_path / f"{name}.html"
        path.write_text(make_page(chosen), encoding="utf-8")
        page = opened(path)
        assert page.locator("section").count() == 8
    assert "NaN" not in json.dumps(runs)


def test_a_long_run_is_thinned(tmp_path):
    """10,000 steps: a point is the mean of ten, at their end; means of all are what they were."""
    rows = [{"step": step, "signal/all": step % 7, "rollouts/spent_total": step} for step in range(1, 10_001)]
    write_metrics(tmp_path, rows)
    run = read_run(tmp_path)
    assert len(run["axes"]["steps"]) == len(run["curves"]["signal/all"]) == 1000
    assert run["axes"]["rollouts"][:2] == [10, 20] and run["axes"]["steps"][-1] == 10_000
    assert np.mean(run["curves"]["signal/all"]) == pytest.approx(np.mean([row["signal/all"] for row in rows]))
    assert run["notes"][-1] == "Each point of a curve is a mean over 10 steps."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "there is no such folder"),
        ({}, "has no metrics.jsonl; give a run's output_dir"),
        ({"pcl/metrics.jsonl": ""}, "has no metrics.jsonl; it holds runs: pcl"),
        ({"metrics.jsonl": '{"step": 1}\n{"st\n{"step": 3}\n'}, "line 2 is not a JSON object"),
        ({"metrics.jsonl": '{"loss": 1}\n'}, "line 1 has no step"),
        ({"metrics.jsonl": "", "events.jsonl": "[]\n"}, "events.jsonl: line 1 is not a JSON object"),
        ({"metrics.jsonl": "", "config.yaml": "a: [\n"}, "config.yaml cannot be read"),
    ],
)
def test_what_is_no_run_is_told(tmp_path, files, message):
    folder = tmp_path / "run"
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if files is not None:
        folder.mkdir(exist_ok=True)
    with pytest.raises(ValueError) as caught:
        read_run(folder)
    assert message in str(caught.value)


def test_runs_have_names_of_their_own(tmp_path):
    paths = [tmp_path / "a" / "pcl", tmp_path / "b" / "pcl"]
    assert short_names(paths) == ["a/pcl", "b/pcl"]
    assert short_names([tmp_path / "a" / "pcl", tmp_path / "a" / "dapo"]) == ["pcl", "dapo"]
    write_metrics(tmp_path / "run", [{"step": 1}])
    with pytest.raises(ValueError, match="one is named twice"):
        read_runs([tmp_path / "run", tmp_path / "run" / "."])
