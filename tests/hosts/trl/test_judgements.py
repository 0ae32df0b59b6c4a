"""Guards the judgements under the trainer: they choose, they train by their formula, they disturb nothing."""

import numpy as np
import pytest
import torch
from test_resume import CYCLES, STEPS, StopAt, assert_same_run
from tiny_judge import make_judging_model, make_judging_tokenizer, make_judging_trainer
from tiny_trl import (
    by_place,
    choices,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_messages,
    make_trainer,
    metrics,
    scripted,
    weights,
)

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.curriculum import Curriculum
from rlkit.curriculum.estimators.self_judgement import SelfJudgement, judgement_reward, parse_variance
from rlkit.curriculum.filters import zero_variance
from rlkit.curriculum.selectors import most_varied
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.record.checkpoint import load_state

STILL = {"optim": "sgd", "learning_rate": 0.0, "max_grad_norm": 0.0}


class Listening(CurriculumGRPOTrainer):
    """Notes what was judged and how, in each round; and each micro-batch's gradient with and without it."""

    def __init__(self, *args, **kwargs):
        self.judged, self.gradients, self.lessons = [], [], []
        super().__init__(*args, **kwargs)
        judge = self.host.senses.judge

        def heard(index_N, context_N, max_tokens):
            answers = judge(index_N, context_N, max_tokens)
            self.judged.append(dict(zip(index_N.tolist(), zip(context_N, answers, strict=True), strict=True)))
            return answers

        self.host.senses.judge = heard

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        (judgements,) = self.objectives.all
        lessons, judgements._lessons = judgements._lessons, []
        plain = super()._compute_loss(model, inputs)
        judgements._lessons = lessons
        self.lessons.append(lessons)
        self.gradients.append([gradient(model, value) for value in (loss, plain)])
        return loss


def gradient(model, loss) -> torch.Tensor:
    parts = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def listen(folder, **settings) -> Listening:
    """Trains; every candidate is rolled out unless `numbers` say otherwise, so that all kinds are taught."""
    settings = {"rewards": by_place(), "kind": Listening, "numbers": {"candidates": 1}, **settings}
    trainer = make_judging_trainer(folder, **settings)
    trainer.train()
    return trainer


def by_the_judgements(trainer) -> torch.Tensor:
    """The gradient of -(1/S) sum_i (R_i - mean R) log pi(judgement_i), one unpadded judgement at a time."""
    rows = {row["index"]: row for row in ledger_rows(trainer.args.output_dir) if row["generation"] == 0}
    heard = {index: trainer.judged[0][index] for index in rows}
    predicted = np.array([parse_variance(answer) for _, answer in heard.values()])
    variance = np.array([np.var(rows[index]["signals"]) for index in heard])
    reward = judgement_reward(predicted, variance)
    assert 0 < np.isnan(predicted).sum() < len(rows) and reward.std() > 0, "the test needs both kinds"
    loss = torch.zeros(())
    tokenizer = trainer.processing_class
    for (context, answer), advantage in zip(heard.values(), reward - reward.mean(), strict=True):
        prompt = tokenizer(context)["input_ids"]
        (written,) = [
            written.completion_ids
            for written in trainer.host.judgements._written.values()
            if written.prompt_ids == prompt
        ]
        assert tokenizer.decode(written, skip_special_tokens=True) == answer
        logits = trainer.model(torch.tensor([prompt + written])).logits[0]
        logprobs = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        loss = loss - advantage * logprobs[range(len(written)), written].sum() / len(rows)
    return gradient(trainer.model, loss)


def test_the_chosen_are_those_judged_to_vary_most(tmp_path):
    trainer = listen(tmp_path, numbers={"candidates": 4}, max_steps=3)
    assert len(trainer.judged) == 3
    for judged, chosen in zip(trainer.judged, choices(tmp_path), strict=True):
        index = list(judged)
        variance = np.nan_to_num([parse_variance(answer) for _, answer in judged.values()], nan=0.25)
        assert len(index) == 16 and len(set(variance.tolist())) > 2, "the test needs judgements that differ"
        assert chosen == [index[place] for place in np.argsort(-variance, kind="stable")[:4]]


def test_gradient_reaches_the_judgements_tokens_and_is_the_formulas(tmp_path):
    trainer = listen(tmp_path, max_steps=1, **STILL)
    ((with_it, without),) = trainer.gradients
    expected = by_the_judgements(trainer)
    assert expected.norm() > 0.1
    torch.testing.assert_close(with_it - without, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}, 1),
        # More micro-batches than judgements: some have none of their own.
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}, 1),
        ({"per_device_train_batch_size": 8, "steps_per_generation": 2}, 2),
        (
            {
                "per_device_train_batch_size": 4,
                "gradient_accumulation_steps": 2,
                "steps_per_generation": 4,
                "num_iterations": 2,
            },
            2,
        ),
    ],
    ids=["accumulation", "more-than-judgements", "two-steps-a-generation", "two-iterations"],
)
def test_each_judgement_trains_once_a_generation(tmp_path, settings, steps):
    """The mean over a generation's steps is the gradient of one big batch; later iterations add nothing."""
    whole = listen(tmp_path / "whole", max_steps=1, **STILL)
    max_steps = steps * settings.get("num_iterations", 1)
    parts = listen(tmp_path / "parts", max_steps=max_steps, **STILL, **settings)
    assert parts.judged == whole.judged
    differences = [with_it - without for with_it, without in parts.gradients]
    micro_batches = steps * settings.get("gradient_accumulation_steps", 1)
    assert len(differences) == micro_batches * settings.get("num_iterations", 1)
    ((with_it, without),) = whole.gradients
    assert (with_it - without).norm() > 0.1
    torch.testing.assert_close(
        sum(differences[:micro_batches]) / steps, with_it - without, atol=1e-5, rtol=1e-4
    )
    assert all(not difference.any() for difference in differences[micro_batches:])


def test_groups_and_metrics_are_as_without_judgements(tmp_path):
    """The first step, at one and at no weight: the same rollouts, advantages and numbers of TRL."""
    one = listen(tmp_path / "one", max_steps=1, weight=1.0, **STILL)
    none = listen(tmp_path / "none", max_steps=1, weight=0.0, **STILL)
    assert none.judged == one.judged and none.lessons == [[]]
    assert ledger_rows(tmp_path / "one") == ledger_rows(tmp_path / "none")
    assert torch.equal(none.gradients[0][0], none.gradients[0][1])
    assert torch.equal(none.gradients[0][0], one.gradients[0][1])
    logs = [
        {
            name: value
            for name, value in trainer.state.log_history[0].items()
            if not ("seconds" in name or "time" in name or name in ("loss", "grad_norm"))
        }
        for trainer in (one, none)
    ]
    assert "objectives/judgements/loss" in logs[0]
    del logs[0]["objectives/judgements/loss"]
    assert logs[0] == logs[1]
    lengths = [length for row in ledger_rows(tmp_path / "one") for length in row["lengths"]]
    assert logs[0]["completions/mean_length"] == pytest.approx(np.mean(lengths))


def test_unweighted_judgements_that_say_nothing_are_uniform(tmp_path):
    """Bit for bit: greedy judgements draw nothing, and scripted rollouts do not depend on what was drawn."""
    same = {"generation_kwargs": {"do_sample": False}, "extra": {"rollout_func": scripted()}}
    config = CurriculumConfig("metis", judgement_weight=0.0, judgement_length=4, candidates=1)
    runs = []
    for name, curriculum in {"metis": config, "uniform": "uniform"}.items():
        runs.append(make_trainer(tmp_path / name, curriculum, by_place(), **same))
        runs[-1].train()
    assert choices(tmp_path / "metis") == choices(tmp_path / "uniform")
    assert losses(runs[0]) == losses(runs[1])
    assert all(torch.equal(tensor, weights(runs[1])[name]) for name, tensor in weights(runs[0]).items())


def test_judgements_have_a_limit_and_a_price_of_their_own(tmp_path):
    trainer = listen(tmp_path, numbers={"judgement_length": 9, "candidates": 4}, max_steps=1, **STILL)
    assert trainer.generation_config.max_new_tokens == 3, "the rollouts' limit is back"
    lengths = [len(written.completion_ids) for written in trainer.host.judgements._written.values()]
    assert 3 < max(lengths) <= 9 and len(lengths) == 16
    rollouts = sum(length for row in ledger_rows(tmp_path) for length in row["lengths"])
    assert metrics(tmp_path)[0]["tokens/generated"] == rollouts + sum(lengths)


def test_message_prompts_are_judged_through_the_chat_template(tmp_path):
    trainer = listen(tmp_path, rewards=even_start, data=make_messages(), max_steps=1, **STILL)
    tokenizer = make_judging_tokenizer()
    for written, (context, _) in zip(
        trainer.host.judgements._written.values(), trainer.judged[0].values(), strict=True
    ):
        assert written.prompt_ids == tokenizer(f"{context}=")["input_ids"]
    torch.testing.assert_close(
        trainer.gradients[0][0] - trainer.gradients[0][1],
        by_the_judgements_of_messages(trainer),
        atol=1e-5,
        rtol=1e-4,
    )


def by_the_judgements_of_messages(trainer) -> torch.Tensor:
    trainer.judged[0] = {index: (f"{text}=", answer) for index, (text, answer) in trainer.judged[0].items()}
    return by_the_judgements(trainer)


def test_dropped_and_padding_groups_teach_the_judge_too(tmp_path):
    """A filter that refills and shrinks: what was rolled out in the step is a lesson, each prompt once."""
    curriculum = Curriculum(
        SelfJudgement(weight=1.0, max_tokens=4),
        [Rounds(most_varied, zero_variance, candidates=2, max_rounds=2)],
        fill="shrink",
    )
    taught = []
    extra = {"processing_class": make_judging_tokenizer()}
    model = make_judging_model()
    trainer = make_trainer(
        tmp_path, curriculum, by_place(), model=model, kind=Listening, extra=extra, max_steps=1, **STILL
    )
    teach = trainer.host.judgements.teach
    trainer.host.judgements.teach = lambda index, advantage: (taught.append(index), teach(index, advantage))
    trainer.train()
    rows = ledger_rows(tmp_path)
    assert len(taught) == 2 and len(rows) > 4, "the test needs a second round"
    assert np.concatenate(taught).tolist() == [row["index"] for row in rows]
    assert len(trainer.lessons[0]) == len(rows)


def test_a_refill_that_finds_no_more_candidates(tmp_path):
    def nothing(groups):
        return np.full(len(groups), "all_low", dtype=object)

    judge = SelfJudgement(max_tokens=4)
    curriculum = Curriculum(judge, [Rounds(most_varied, nothing, max_rounds=9)])
    extra = {"processing_class": make_judging_tokenizer()}
    settings = {"model": make_judging_model(), "data": make_data(6), "max_steps": 1, "extra": extra}
    make_trainer(tmp_path, curriculum, by_place(), **settings).train()
    assert sorted(choices(tmp_path)[0]) == list(range(6))


@pytest.mark.parametrize(
    "cycle", ["two-steps-a-generation", pytest.param("accumulation", marks=pytest.mark.slow)]
)
def test_resume_in_mid_cycle(tmp_path, cycle):
    """Stopped between two updates on a generation, whose second half of lessons is still to come."""

    def trainer(folder, extra=None, **more):
        settings = {**CYCLES[cycle], "max_steps": STEPS, "num_iterations": 1, **more}
        settings = {"numbers": {"candidates": 2}, "extra": extra or {}, **settings}
        return make_judging_trainer(tmp_path / folder, by_place(), **settings)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", {"callbacks": [StopAt(4)]}, save_strategy="steps", save_steps=3).train()
    checkpoint = tmp_path / "stopped" / "checkpoint-3"
    saved = load_state(checkpoint, "curriculum")["objectives"]["judgements"]["lessons"]
    assert any(advantage for *_, advantage in saved), "the test needs lessons"
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
    for log, other in zip(straight.state.log_history[3:], resumed.state.log_history[3:], strict=False):
        assert log.get("objectives/judgements/loss") == other.get("objectives/judgements/loss")


def test_a_judge_learns(tmp_path):
    """A random policy learns to box numbers, and better ones; how well a real model judges is not tested."""
    trainer = make_judging_trainer(
        tmp_path,
        by_place(),
        numbers={"candidates": 1},
        per_device_train_batch_size=64,
        data=make_data(96),
        max_steps=30,
        learning_rate=1e-2,
    )
    trainer.train()
    lines = metrics(tmp_path)
    reward = [line["self_judgement/reward"] for line in lines]
    unparseable = [line["self_judgement/unparseable"] for line in lines]
    assert np.mean(reward[-5:]) > np.mean(reward[:5]) + 0.2
    assert np.mean(unparseable[-5:]) < 0.1 < np.mean(unparseable[:5])
