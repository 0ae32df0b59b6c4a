"""Guards what a budget means and how a wrong one is refused."""

import pytest

from rlkit.curriculum import build_curriculum
from rlkit.hosts.simulated.host import SimulationConfig, simulate
from rlkit.settings.budget import AXES, Budget, parse_budget
from rlkit.settings.config import CurriculumConfig


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("rollouts=10000", Budget("rollouts", 10_000)),
        ("tokens=2.5e6", Budget("tokens", 2_500_000)),
        ("steps=1_000", Budget("steps", 1000)),
    ],
)
def test_words_become_budgets_and_back(text, budget):
    assert parse_budget(text) == budget
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize("text", ["rolouts=10", "10000", "", "=5"])
def test_unknown_axes_are_refused_with_those_there_are(text):
    with pytest.raises(ValueError, match=r"has no axis .* steps, rollouts, tokens, seconds"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["steps", "steps=", "steps=-3", "steps=0", "steps=many", "seconds=inf", "steps=nan"]
)
def test_amounts_that_are_no_number_above_0_are_refused(text):
    with pytest.raises(ValueError, match="has no amount above 0; give AXIS=AMOUNT"):
        parse_budget(text)


def test_a_config_checks_its_budget():
    with pytest.raises(ValueError, match="budget"):
        build_curriculum(CurriculumConfig(budget="steps"))


@pytest.mark.parametrize(("budget", "last"), [("rollouts=300", 5), ("steps=7", 7), ("tokens=64", 1)])
def test_a_simulation_ends_after_the_step_that_spends_it(budget, last):
    config = SimulationConfig(num_prompts=100, groups_per_step=8, num_generations=8, num_steps=50)
    history = simulate(build_curriculum(CurriculumConfig(budget=budget)), config)
    assert len(history) == last
    assert set(AXES.values()) <= history[-1].keys()
    assert not parse_budget(budget).is_spent(history[-2] if last > 1 else {})
