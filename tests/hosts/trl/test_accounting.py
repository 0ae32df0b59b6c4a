"""Guards that a run's numbers are those of its ledger, however many generations a step and steps a log."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from tiny_trl import NUM_GENERATIONS, Logs, Recorder, by_place, make_data, make_trainer, metrics, tiny

from rlkit.curriculum.filters import REASONS
from rlkit.record.ledger import read_ledger
from rlkit.types import ABSENT, REPLAYED

STEPS = 7


def sometimes(prompts, completions, **columns):
    """The third of each group cannot be graded, nor can any of a tenth of the prompts."""
    values = by_place()(prompts, completions)
    return [
        None if place % NUM_GENERATIONS == 2 or prompt[2] == "7" else value
        for place, (prompt, value) in enumerate(zip(prompts, values, strict=True))
    ]


def recomputed(rows, before):
    """The metrics of some generations' groups; `before` are all groups of the run up to their end."""

    def num(groups, counted):
        return sum(counted(age) for row in groups for age in row["ages"])

    def mean(values):
        return float(np.mean(values)) if values else None

    def means(groups):
        scored = [[signal for signal in row["signals"] if not np.isnan(signal)] for row in groups]
        return [np.mean(signals) for signals in scored if signals]

    fresh = [row for row in rows if row["round"] != REPLAYED]
    trained = [row for row in rows if row["trained"]]
    varied = [
        np.nanvar(row["rewards"]) > 1e-6 if not np.isnan(row["rewards"]).all() else False for row in trained
    ]
    new = [
        (signal, length)
        for row in rows
        for signal, length, age in zip(row["signals"], row["lengths"], row["ages"], strict=True)
        if age == 0
    ]
    reasons = Counter(row["reason"] for row in rows)
    visited = [row["index"] for row in before if row["round"] != REPLAYED]
    return {
        "funnel/rounds": len({(row["generation"], row["round"]) for row in fresh}),
        "funnel/graded": len(fresh),
        "funnel/trained": len(trained),
        "funnel/topped_up": sum(row["reason"] != "kept" and row["round"] != REPLAYED for row in trained),
        **{f"funnel/{reason}": reasons[reason] for reason in REASONS},
        "rollouts/spent": len(new),
        "rollouts/trained": num(trained, lambda age: age != ABSENT),
        "rollouts/stale": num(trained, lambda age: age > 0),
        "rollouts/unscorable": int(np.isnan([signal for signal, _ in new]).sum()),
        "rollouts/spent_total": num(before, lambda age: age == 0),
        "rollouts/trained_total": num([row for row in before if row["trained"]], lambda age: age != ABSENT),
        "tokens/generated": sum(length for _, length in new),
        "tokens/generated_total": sum(
            length
            for row in before
            for length, age in zip(row["lengths"], row["ages"], strict=True)
            if age == 0
        ),
        "effective_ratio": mean(varied),
        "signal/all": mean(means(fresh)),
        "signal/trained": mean(means(trained)),
        "seconds/selection": sum(row["selection_seconds"] for row in rows),
        "seconds/generation": sum(row["generation_seconds"] for row in rows),
        "seconds/grading": sum(row["grading_seconds"] for row in rows),
        "pool/coverage": len(set(visited)) / 64,
        "pool/mean_visits": len(visited) / max(len(set(visited)), 1),
    }


def settings_of(seed):
    """Random batches: one to three generations a step, or one to four steps a generation."""
    rng = random.Random(seed)
    steps_per_generation = rng.choice([1, 2, 4])
    return {
        "per_device_train_batch_size": rng.choice([4, 8]),
        "steps_per_generation": steps_per_generation,
        "gradient_accumulation_steps": rng.choice([1, 2, steps_per_generation, 2 * steps_per_generation]),
        "num_iterations": rng.choice([1, 1, 2]),
        "logging_steps": rng.choice([1, 2, 3]),
    }


ISSUE = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 4,
    "steps_per_generation": 2,
    "logging_steps": 1,
}
CASES = [
    ("dapo", {**ISSUE}),
    *((preset, settings_of(seed)) for seed, preset in enumerate(["dapo", "ssb", "uniform", "dapo", "speed"])),
]


@pytest.mark.parametrize(
    ("preset", "settings"), CASES, ids=[f"{index}-{case[0]}" for index, case in enumerate(CASES)]
)
def test_every_number_is_that_of_the_ledger(tmp_path, preset, settings):
    logs = Logs()
    extra = {"callbacks": [logs]}
    trainer = make_trainer(
        tmp_path, tiny(preset), sometimes, data=make_data(64), extra=extra, max_steps=STEPS, **settings
    )
    trainer.train()
    ledger = read_ledger(tmp_path / "ledger").to_pylist()
    assert len({row["generation"] for row in ledger}) >= 2

    def check(found, first, last):
        rows = [row for row in ledger if first <= row["step"] <= last]
        expected = recomputed(rows, [row for row in ledger if row["step"] <= last])
        if not rows:  # steps on an earlier generation
            expected = {
                name: value for name, value in expected.items() if name.endswith("_total") and name in found
            }
        for name, value in expected.items():
            assert found[name] == (None if value is None else pytest.approx(value, rel=1e-6)), (name, last)

    for row in metrics(tmp_path):
        check(row, row["step"], row["step"])
        assert row["rollouts/spent_total"] > 0
    first = 1
    for step, logged in logs.rows:
        check({name.removeprefix("curriculum/"): value for name, value in logged.items()}, first, step)
        first = step + 1
    assert first > STEPS - settings["logging_steps"]


def test_a_resumed_run_logs_what_came_before_the_checkpoint(tmp_path):
    """The checkpoint lies between two logs."""
    settings = {
        "logging_steps": 3,
        "save_strategy": "steps",
        "save_steps": 2,
        "max_steps": 3,
        "lr_scheduler_type": "constant",
    }
    straight, resumed = Logs(), Logs()
    make_trainer(tmp_path / "a", "dapo", extra={"callbacks": [straight]}, **settings).train()
    make_trainer(tmp_path / "b", "dapo", **settings | {"max_steps": 2}).train()
    again = make_trainer(tmp_path / "b", "dapo", extra={"callbacks": [resumed]}, **settings)
    again.train(resume_from_checkpoint=True)

    def ours(logs):
        ((_, row),) = logs.rows
        return {
            name: value
            for name, value in row.items()
            if name.startswith("curriculum/") and "seconds" not in name
        }

    assert ours(straight) == ours(resumed) and ours(straight)["curriculum/rollouts/spent"] > 0


def test_the_trainers_history_holds_nothing_that_metrics_jsonl_has(tmp_path):
    """At a log every step the file of a checkpoint grew by 3 KB a step."""
    logs = Logs()
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 4}
    trainer = make_trainer(tmp_path, "pcl", extra={"callbacks": [logs]}, **settings)
    trainer.train()
    written = metrics(tmp_path)[-1]
    ours = {name.removeprefix("curriculum/") for name in logs.rows[-1][1] if name.startswith("curriculum/")}
    assert {"rollouts/spent", "calibration/brier", "guards/truncated"} <= ours <= set(written), (
        "trackers get it"
    )
    state = json.loads((tmp_path / "checkpoint-4" / "trainer_state.json").read_text())
    assert all(not name.startswith("curriculum/") for row in state["log_history"] for name in row)
    assert all("loss" in row and "reward" in row for row in state["log_history"][:4])
    assert len(json.dumps(state["log_history"][:4])) / 4 < 1200


def test_steps_without_a_grade_are_counted_by_steps(tmp_path):
    """Two generations a step: three ungraded steps are six ungraded generations."""
    from rlkit import CurriculumConfig
    from rlkit.hosts.trl.watch import NothingGradedError

    config = CurriculumConfig(curriculum="uniform", max_ungraded_steps=3)
    nothing = lambda completions, **columns: [None] * len(completions)  # noqa: E731
    settings = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "steps_per_generation": 2}
    trainer = make_trainer(tmp_path, config, nothing, max_steps=9, **settings)
    with pytest.raises(NothingGradedError, match="stopped after step 3"):
        trainer.train()


def test_shares_of_rounds_are_weighted_by_their_completions(tmp_path):
    """dapo's rounds differ in size."""
    graded = Recorder(by_place())
    make_trainer(tmp_path, "dapo", graded, max_steps=3, max_completion_length=2).train()
    cut = [ids[-1] != 0 for _, ids in graded.rows]
    for row in metrics(tmp_path):
        share, cut = np.mean(cut[: row["rollouts/spent"]]), cut[row["rollouts/spent"] :]
        assert row["completions/clipped_ratio"] == pytest.approx(share)
    assert cut == []
