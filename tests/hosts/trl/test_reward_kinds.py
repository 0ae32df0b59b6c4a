"""Guards the watch over rewards in training: which are a model's, and the warning when they come apart."""

import pytest
from tiny_trl import make_trainer, metrics

from rlkit import CurriculumConfig

STEPS = 8


def judge(completions, trainer_state, **columns):
    """Likes the policy better and better."""
    return [trainer_state.global_step + 0.01 * (row % 3) for row in range(len(completions))]


def exact(completions, trainer_state, **columns):
    """Finds ever less right."""
    return [float(row % 16 > 2 * trainer_state.global_step) for row in range(len(completions))]


def fixed(completions, **columns):
    return [0.5] * len(completions)


def run(folder, rewards, model_rewards="judge", **numbers):
    config = CurriculumConfig(model_rewards=model_rewards, signal_max=9.0, apart_steps=3, **numbers)
    return make_trainer(folder, config, rewards, max_steps=STEPS)


def test_a_judge_that_rises_while_the_rule_falls(tmp_path, caplog):
    run(tmp_path, [judge, exact]).train()
    alarms = [row["guards/rewards_apart"] for row in metrics(tmp_path)]
    assert alarms[:5] == [0.0] * 5 and 1.0 in alarms[5:]
    said = [
        record.getMessage() for record in caplog.records if "a model's reward rose" in record.getMessage()
    ]
    assert len(said) == 1 and "(judge up, exact down)" in said[0]
    assert "rewards/judge/mean" in metrics(tmp_path)[0]


@pytest.mark.parametrize("rewards", [[judge, fixed], [exact, judge]])
def test_no_alarm_without_both(tmp_path, rewards):
    """The rule stays, or what falls is the model's and what rises the rule's."""
    named = "exact" if rewards[0] is exact else "judge"
    run(tmp_path, rewards, named).train()
    assert not any(row["guards/rewards_apart"] for row in metrics(tmp_path))


@pytest.mark.parametrize(
    ("rewards", "settings", "message"),
    [
        ([judge, exact], {"model_rewards": "jduge"}, r"model_rewards \('jduge'\) names 'jduge', which is no"),
        ([judge, exact], {"model_rewards": "judge,exact"}, "leaves no rule's reward to compare with"),
        ([judge, exact], {"apart_errors": 0.0}, r"apart_errors \(0.0\) must be above 0"),
    ],
)
def test_bad_input(tmp_path, rewards, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, rewards, **settings)
