"""Guards the step under TRL: fresh choices, filters that cost what they say, the signal, evaluation."""

import math

import numpy as np
import pytest
import torch
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    Logs,
    Recorder,
    Watching,
    by_place,
    choices,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_tokenizer,
    make_trainer,
    metrics,
    success_rate,
)

from rlkit import CurriculumConfig
from rlkit.collect import UnfilledBatchError

SLOW = pytest.mark.slow
ROWS = GROUPS * NUM_GENERATIONS
PCL_TEXT = CurriculumConfig(curriculum="pcl", value_features="text")


def plain(state):
    """A state as something that `==` compares."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return state.tolist() if isinstance(state, np.ndarray | torch.Tensor) else state


# ---------------------------------------------------------------------------------------------------------
# Freshness


def test_choice_uses_the_rewards_of_the_step_before(tmp_path):
    """Runs whose rewards differ in the first step only choose alike in it, and otherwise in the second."""

    def run(folder, first_step):
        def reward(prompts, completions, trainer_state, **columns):
            return (first_step if trainer_state.global_step == 0 else by_place())(prompts, completions)

        # At a learning rate of 0 the policy stays as it is: only what the curriculum learned can differ.
        make_trainer(tmp_path / folder, "pcl", reward, max_steps=2, learning_rate=0.0).train()
        return choices(tmp_path / folder)

    def all_right(prompts, completions):
        return [1.0] * len(prompts)

    one, same, other = run("one", by_place()), run("same", by_place()), run("other", all_right)
    assert one == same
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_policy_backbone_sees_the_updated_policy(tmp_path):
    """The same prompts' features change from step to step, as the weights do."""
    trainer = make_trainer(tmp_path, "pcl", max_steps=1)
    before = trainer.host.senses.features(np.arange(4))
    trainer.train()
    after = trainer.host.senses.features(np.arange(4))
    assert before.shape == (4, 16) and before.dtype == np.float32
    assert not np.allclose(before, after)
    assert trainer.model.training


def test_features_do_not_depend_on_the_batch(tmp_path):
    """A prompt's hidden state is its own: padding beside longer prompts does not move it."""
    data = make_data(8).map(lambda row, index: {"prompt": row["prompt"] * (1 + index % 3)}, with_indices=True)
    trainer = make_trainer(tmp_path, "pcl", data=data)
    together = trainer.host.senses.features(np.arange(8))
    alone = np.concatenate([trainer.host.senses.features(np.array([index])) for index in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------
# Filters


@pytest.mark.parametrize("preset", ["dapo", "odf"])
def test_filtered_step_generates_and_grades_once(tmp_path, preset):
    recorder = Recorder(even_start)
    trainer = make_trainer(tmp_path, preset, recorder, kind=Watching, max_steps=4)
    trainer.train()
    rows = metrics(tmp_path)
    assert max(row["funnel/rounds"] for row in rows) > 1, "the test needs a refill"
    spent = sum(row["rollouts/spent"] for row in rows)
    assert len(recorder.rows) == spent == rows[-1]["rollouts/spent_total"]
    assert sum(row["rollouts/trained"] for row in rows) == 4 * ROWS
    # TRL counts tokens where it generates: a second generation would be counted too.
    tokens = sum(len(prompt) + len(ids) for prompt, ids in recorder.rows)
    assert trainer.state.num_input_tokens_seen == tokens
    assert [len(batch["completion_ids"]) for batch in trainer.batches] == [ROWS] * 4


@pytest.mark.parametrize(
    "preset", ["dapo", *(pytest.param(name, marks=SLOW) for name in ("uniform", "pcl", "dots"))]
)
def test_update_gets_each_completion_with_its_own_advantage(tmp_path, preset):
    """`even_start` is a function of the completion, so a swap of rows between groups or rounds would show."""
    trainer = make_trainer(tmp_path, preset, kind=Watching, max_steps=3)
    trainer.train()
    tokenizer, informative = make_tokenizer(), 0
    for batch in trainer.batches:
        for ids, advantage in zip(batch["completion_ids"], batch["advantages"].tolist(), strict=True):
            if advantage:
                right = even_start([tokenizer.decode(ids, skip_special_tokens=True)])[0] == 1.0
                assert right == (advantage > 0)
                informative += 1
    assert informative >= (3 * ROWS if preset == "dapo" else ROWS)


def test_update_gets_the_groups_that_the_ledger_calls_trained(tmp_path):
    trainer = make_trainer(tmp_path, "dapo", by_place(), kind=Watching, max_steps=3)
    trainer.train()
    data, tokenizer = make_data(), make_tokenizer()
    for step, batch in enumerate(trainer.batches, start=1):
        prompts = tokenizer.batch_decode(batch["prompt_ids"], skip_special_tokens=True)
        trained = [row["index"] for row in ledger_rows(tmp_path) if row["step"] == step and row["trained"]]
        expected = [data[index]["prompt"] for index in trained for _ in range(NUM_GENERATIONS)]
        assert sorted(prompts) == sorted(expected)
        assert all(0 < success_rate(prompt) < 1 for prompt in prompts)
        lengths = batch["completion_mask"].sum(1).tolist()
        ledger = [row["lengths"] for row in ledger_rows(tmp_path) if row["step"] == step and row["trained"]]
        assert sorted(lengths) == sorted(length for lengths in ledger for length in lengths)


def test_a_probe_is_generated_and_graded_but_no_part_of_the_update(tmp_path):
    recorder = Recorder(even_start)
    trainer = make_trainer(tmp_path, "dots", recorder, kind=Watching, max_steps=2)
    trainer.train()
    rows = ledger_rows(tmp_path)
    places = [(row["step"], row["round"], row["reason"], row["trained"]) for row in rows]
    probe, kept = [(1, 0, "reference", False)] * 2, [(1, 1, "kept", True)] * 4
    assert places == [*probe, *kept, *[(2, 0, "kept", True)] * 4]
    assert len(recorder.rows) == 10 * NUM_GENERATIONS == metrics(tmp_path)[-1]["rollouts/spent_total"]
    for batch, step in zip(trainer.batches, (1, 2), strict=True):
        texts = make_tokenizer().batch_decode(batch["prompt_ids"], skip_special_tokens=True)
        trained = {f"{row['index']:03d}=" for row in rows if row["step"] == step and row["trained"]}
        assert set(texts) == trained and len(texts) == ROWS


def always_wrong(completions, **columns):
    return [0.0] * len(completions)


def test_top_up_when_nothing_passes(tmp_path):
    trainer = make_trainer(
        tmp_path, CurriculumConfig(curriculum="dapo", max_rounds=3), always_wrong, kind=Watching, max_steps=2
    )
    trainer.train()
    for row in metrics(tmp_path):
        assert row["funnel/rounds"] == 3
        assert row["funnel/all_low"] == row["funnel/graded"] == 3 * GROUPS
        assert row["funnel/topped_up"] == row["funnel/trained"] == GROUPS
        assert row["effective_ratio"] == 0
    assert losses(trainer) == [0.0, 0.0]
    assert [len(batch["completion_ids"]) for batch in trainer.batches] == [ROWS] * 2


def test_shrink_to_nothing_leaves_the_policy_alone(tmp_path):
    config = CurriculumConfig(curriculum="dapo", max_rounds=2, fill="shrink")
    trainer = make_trainer(tmp_path, config, always_wrong, kind=Watching, max_steps=2)
    trainer.train()
    assert losses(trainer) == [0.0, 0.0]
    assert [row["rollouts/trained"] for row in metrics(tmp_path)] == [0, 0]
    assert all(batch["completion_mask"].sum() == 0 for batch in trainer.batches)


def test_error_when_the_user_chose_it(tmp_path):
    config = CurriculumConfig(curriculum="dapo", max_rounds=2, fill="error")
    with pytest.raises(UnfilledBatchError, match="8 all_low"):
        make_trainer(tmp_path, config, always_wrong).train()


def test_refills_stop_where_the_pool_ends(tmp_path):
    """A pool of six prompts and batches of four: the second round finds two, the third none."""
    make_trainer(tmp_path, "dapo", always_wrong, data=make_data(6), max_steps=2).train()
    assert [row["funnel/graded"] for row in metrics(tmp_path)] == [6, 6]


def test_batch_is_constant_over_cycles(tmp_path):
    trainer = make_trainer(
        tmp_path,
        "dapo",
        kind=Watching,
        max_steps=4,
        per_device_train_batch_size=8,
        steps_per_generation=4,
        gradient_accumulation_steps=2,
        num_iterations=2,
    )
    trainer.train()
    assert [len(batch["completion_ids"]) for batch in trainer.batches] == [8] * 8
    assert len(choices(tmp_path)) == 1
    assert [row["step"] for row in metrics(tmp_path)] == [1, 2, 3, 4]


# ---------------------------------------------------------------------------------------------------------
# Evaluation and metrics


@pytest.mark.parametrize("preset", ["dapo", *(pytest.param(name, marks=SLOW) for name in ("uniform", "pcl"))])
def test_evaluation_does_not_move_the_curriculum(tmp_path, preset):
    trainer = make_trainer(
        tmp_path, preset, max_steps=2, extra={"eval_dataset": make_data(6)}, per_device_eval_batch_size=8
    )
    trainer.train()
    state, ledger, steps = plain(trainer.curriculum.state_dict()), ledger_rows(tmp_path), metrics(tmp_path)
    totals = trainer.record.state_dict()
    result = trainer.evaluate()
    assert "eval_reward" in result and not any("curriculum" in name for name in result)
    trainer.record.flush()
    assert plain(trainer.curriculum.state_dict()) == state
    assert (ledger_rows(tmp_path), metrics(tmp_path), trainer.record.state_dict()) == (ledger, steps, totals)


@pytest.mark.parametrize("curriculum", ["dapo", pytest.param(PCL_TEXT, marks=SLOW, id="pcl-text")])
def test_choices_are_the_same_with_and_without_evaluation(tmp_path, curriculum):
    for folder, strategy in {"with": "steps", "without": "no"}.items():
        make_trainer(
            tmp_path / folder,
            curriculum,
            by_place(),
            max_steps=4,
            extra={"eval_dataset": make_data(4)},
            eval_strategy=strategy,
            eval_steps=1,
            per_device_eval_batch_size=8,
        ).train()
    assert choices(tmp_path / "with") == choices(tmp_path / "without")
    assert len(choices(tmp_path / "with")) == 4


def test_metrics_reach_the_trackers(tmp_path):
    logs = Logs()
    make_trainer(tmp_path, "pcl", max_steps=3, extra={"callbacks": [logs]}).train()
    logged = [line for _, line in logs.rows]
    for name in (
        "funnel/candidates",
        "funnel/rounds",
        "funnel/graded",
        "funnel/trained",
        "rollouts/spent",
        "rollouts/trained",
        "rollouts/spent_total",
        "tokens/generated_total",
        "effective_ratio",
        "grade/error",
        "seconds/selection",
        "seconds/generation",
        "seconds/grading",
        "pool/coverage",
        "calibration/brier",
        "calibration/explained_variance",
        "value_model/loss",
    ):
        assert all(math.isfinite(line[f"curriculum/{name}"]) for line in logged), name
    assert "curriculum/calibration/spearman" in logged[-1]
    row = metrics(tmp_path)[-1]
    assert logged[-1]["curriculum/effective_ratio"] == row["effective_ratio"]
    parts = ("selection", "generation", "grading", "update")
    assert sum(row[f"seconds/{part}"] for part in parts) == pytest.approx(row["seconds/step"])
    assert all(row[f"seconds/{part}"] > 0 for part in parts)


def test_effective_ratio_is_ours_under_batch_scaling(tmp_path):
    """TRL's `frac_reward_zero_std` is of the batch there; ours stays the share of informative groups."""
    trainer = make_trainer(tmp_path, "uniform", by_place(), max_steps=2, scale_rewards="batch")
    trainer.train()
    data = make_data()
    for row, chosen in zip(metrics(tmp_path), choices(tmp_path), strict=True):
        rates = [success_rate(data[index]["prompt"]) for index in chosen]
        assert row["effective_ratio"] == np.mean([0 < rate < 1 for rate in rates])
