"""Guards that a subclass's methods are what generates, grades and trains, each once."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from test_tools import Doubling, make_tool_tokenizer
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    Recorder,
    even_start,
    ledger_rows,
    make_data,
    make_messages,
    make_plain_trainer,
    make_trainer,
    metrics,
    weights,
)
from trl import GRPOTrainer

from rlkit import CurriculumConfig, CurriculumGRPOTrainer


def rewards_of(folder):
    return np.array([row["rewards"] for row in ledger_rows(folder)])


class Halving:
    """Grades with half of what the functions give, and one more for the first of each group."""

    calls = 0

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        Halving.calls += 1
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list) / 2
        rewards[::NUM_GENERATIONS] += 1
        return rewards


class Ours(Halving, CurriculumGRPOTrainer): ...


class Plain(Halving, GRPOTrainer): ...


class Below(CurriculumGRPOTrainer, Plain): ...


@pytest.mark.parametrize("kind", [Ours, Below])
@pytest.mark.parametrize("preset", ["dapo", "pcl"])
def test_overridden_rewards_are_what_the_curriculum_sees_and_the_update_gets(tmp_path, kind, preset):
    graded, Halving.calls = Recorder(even_start), 0
    curriculum = CurriculumConfig(preset, signal_max=1.5)
    trainer = make_trainer(tmp_path, curriculum, graded, kind=kind, max_steps=2)
    trainer.train()
    rows = ledger_rows(tmp_path)
    expected = np.array(graded.values).reshape(-1, NUM_GENERATIONS) / 2
    expected[:, 0] += 1
    assert rewards_of(tmp_path).tolist() == expected.tolist()
    assert Halving.calls == len({(row["generation"], row["round"]) for row in rows})
    trained = [np.mean(row["rewards"]) for row in rows if row["trained"] and row["step"] == 2]
    assert trainer.state.log_history[1]["reward"] == pytest.approx(np.mean(trained))


def test_a_subclass_trains_as_it_does_under_trl(tmp_path):
    data = make_data(16)
    ours = make_trainer(tmp_path / "ours", "uniform", data=data, kind=Ours, max_steps=3)
    ours.train()
    order = [row["index"] for row in ledger_rows(tmp_path / "ours")]
    order += [index for index in range(16) if index not in order]

    class Same(Plain):
        pass

    plain = make_plain_trainer(
        tmp_path / "plain", even_start, data.select(order), shuffle_dataset=False, max_steps=3
    )
    plain.__class__ = Same
    plain.train()
    for name, tensor in weights(plain).items():
        assert (weights(ours)[name] == tensor).all(), name


class Writing(CurriculumGRPOTrainer):
    """Generates in its own way, tokenizes and takes the inputs as TRL does."""

    called: ClassVar[list] = []

    def _tokenize_prompts(self, prompts):
        Writing.called.append("tokenize")
        return super()._tokenize_prompts(prompts)

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        Writing.called.append("turn")
        completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        return [[3, 0] for _ in completion_ids], logprobs

    def _generate(self, prompts):
        Writing.called.append("generate")
        generated = super()._generate(prompts)
        self.text = generated[3]
        return generated

    def _generate_and_score_completions(self, inputs):
        Writing.called.append("batch")
        return {**super()._generate_and_score_completions(inputs), "marked": torch.tensor(1.0)}

    def _prepare_inputs(self, generation_batch):
        inputs = super()._prepare_inputs(generation_batch)
        assert inputs.pop("marked") == 1
        return inputs


def test_other_methods_of_trl_are_honoured_too(tmp_path):
    graded = Recorder(even_start)
    make_trainer(tmp_path, "uniform", graded, kind=Writing, max_steps=1).train()
    assert {ids for _, ids in graded.rows} == {(3, 0)}
    assert set(graded.values) == {1.0}
    calls = [name for name in Writing.called if name != "tokenize"]
    assert calls == ["batch", "generate", "turn"], "each once"
    assert len(graded.rows) == GROUPS * NUM_GENERATIONS


@pytest.mark.parametrize("method", ["_get_train_sampler", "get_train_dataloader"])
def test_a_sampler_of_ones_own_is_refused(tmp_path, method):
    kind = type("Sampling", (CurriculumGRPOTrainer,), {method: lambda self, *args: None})
    with pytest.raises(ValueError, match=f"Sampling overrides {method}, .* chosen by the curriculum"):
        make_trainer(tmp_path, model="no/such-model", kind=kind)


# ---------------------------------------------------------------------------------------------------------
# Environments that own their reward


def failing_environment(is_async):
    """Raises for every other rollout, and counts how often each was asked."""

    class Failing(Doubling):
        asked: ClassVar[dict] = {}
        number = 0

        def reset(self, prompt, **columns):
            Failing.number += 1
            self.rollout = Failing.number
            return super().reset(prompt, **columns)

        def _grade(self):
            Failing.asked[self.rollout] = Failing.asked.get(self.rollout, 0) + 1
            if self.rollout % 2:
                raise RuntimeError("the sandbox is away")
            return 1.0

        def get_reward(self):
            return self._grade()

    async def get_reward(self):
        return self._grade()

    if is_async:
        Failing.get_reward = get_reward
    return Failing


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_environment_whose_reward_raises_is_counted(tmp_path, is_async, caplog):
    kind = failing_environment(is_async)
    extra = {"environment_factory": kind, "processing_class": make_tool_tokenizer()}
    settings = {"max_completion_length": 9, "max_tool_calling_iterations": 2, "max_steps": 2}
    trainer = make_trainer(tmp_path, "uniform", [], data=make_messages(), extra=extra, **settings)
    trainer.train()
    rollouts = GROUPS * NUM_GENERATIONS
    assert [row["grade/error"] for row in metrics(tmp_path)] == [rollouts // 2] * 2
    assert [row["rollouts/unscorable"] for row in metrics(tmp_path)] == [rollouts // 2] * 2
    assert set(kind.asked.values()) == {1} and len(kind.asked) == 2 * rollouts, "each was asked once"
    assert "reward function Failing failed on 8 completions" in caplog.text
    assert "the sandbox is away" in caplog.text
