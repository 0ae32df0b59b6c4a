"""Guards the estimators over categories: their published update, proportions, and starvation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.curriculum import Curriculum
from rlkit.curriculum.estimators.bandit import Bandit, absolute_advantage
from rlkit.curriculum.estimators.missing_skills import MissingSkills
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups, Prediction

KINDS = ["algebra"] * 6 + ["geometry"] * 3 + ["number"]
"""Ten prompts; categories in alphabetical order have shares 0.6, 0.3, 0.1."""


def pool_of(kinds):
    return make_pool([{"prompt": f"p{i}", "category": kind} for i, kind in enumerate(kinds)])


def bound(estimator, kinds=KINDS):
    estimator.bind(pool_of(kinds), None)
    return estimator


def graded(index, signal_PG) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    return Groups(np.asarray(index), signal_PG, signal_PG, signal_PG)


def teach(estimator, index, signal_PG) -> None:
    estimator.observe(graded(index, signal_PG), Prediction.neutral(len(index)))


def test_absolute_advantage_is_two_root_p_q():
    quarters = (np.arange(4) < np.arange(5)[:, None]).astype(float)
    p = np.arange(5) / 4
    np.testing.assert_allclose(absolute_advantage(graded(range(5), quarters)), 2 * np.sqrt(p * (1 - p)))
    holes = [[1, 0, np.nan], [np.nan] * 3]
    np.testing.assert_allclose(absolute_advantage(graded([0, 1], holes)), [1, 0])


def test_the_bandits_update_by_hand():
    bandit = bound(Bandit(decay=0.5, temperature=0.2))
    np.testing.assert_allclose(bandit.distribution(), [1 / 3] * 3)
    # algebra: groups at 1 and 0, mean 0.5; geometry: 1; number was not rolled out.
    teach(bandit, [0, 1, 6], [[1, 0], [1, 1], [0, 1]])
    np.testing.assert_allclose(bandit.kept["q"], [0.25, 0.5, 0])
    teach(bandit, [2, 9], [[0, 0], [1, 0]])
    np.testing.assert_allclose(bandit.kept["q"], [0.125, 0.5, 0.5])
    weights = np.exp(np.array([0.125, 0.5, 0.5]) / 0.2)
    np.testing.assert_allclose(bandit.distribution(), weights / weights.sum())
    assert bandit.metrics()["sec/greatest_share"] == pytest.approx(weights[1] / weights.sum())


def test_the_missing_skill_profile_by_hand():
    skills = bound(MissingSkills(unsolved=0.85, decay=0.5))
    np.testing.assert_allclose(skills.distribution(), [0.6, 0.3, 0.1])  # nothing known: the pool's own
    # Of algebra's two groups one is difficult, of geometry's one none (6/7 = 0.857), number was not seen.
    teach(skills, [0, 1, 6], [[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0, 0], [1] * 7])
    profile = np.array([0.6 * 2 / 3, 0.3 * 1 / 2, 0.1])
    np.testing.assert_allclose(skills.distribution(), profile / profile.sum())
    teach(skills, [9], [[0] * 7])
    # The past fades: algebra (0.5 + 1) / (1 + 1), geometry (0 + 1) / (0.5 + 1), number (1 + 1) / (1 + 1).
    profile = np.array([0.6 * 1.5 / 2, 0.3 / 1.5, 0.1])
    np.testing.assert_allclose(skills.distribution(), profile / profile.sum())


@settings(max_examples=30)
@given(score=st.lists(st.floats(0, 1), min_size=3, max_size=3), temperature=st.floats(0.05, 5))
def test_admission_turns_the_pools_proportions_into_those_wanted(score, temperature):
    bandit = bound(Bandit(temperature=temperature))
    bandit.kept["q"] = np.array(score)
    admission = bandit.admission(np.arange(10))
    assert admission.max() == 1 and (admission > 0).all()
    expected = np.bincount(bandit.code_N, weights=admission)
    np.testing.assert_allclose(expected / expected.sum(), bandit.distribution())


def test_candidates_follow_the_distribution():
    bandit = Bandit(temperature=0.5)
    curriculum = Curriculum(bandit, [Rounds(admission=bandit.admission)])
    curriculum.bind(pool_of(["common"] * 1800 + ["rare"] * 200), None, 8)
    bandit.kept["q"] = np.array([0.0, 0.5 * np.log(3)])  # weights 1 and 3
    drawn = [curriculum.sources[-1].propose(8, np.empty(0, dtype=int)).index_P for _ in range(100)]
    assert np.mean(np.concatenate(drawn) >= 1800) == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("make", [Bandit, MissingSkills])
def test_categories_keep_what_was_learned_by_name(make):
    first = bound(make())
    teach(first, [0, 6, 9], [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    second = bound(make(), ["geometry", "logic", "algebra"])
    second.load_state_dict(first.state_dict())
    for key in first.kept:
        algebra, geometry, _ = first.kept[key]
        np.testing.assert_array_equal(second.kept[key], [algebra, geometry, first.initial[key]])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"prompt": "a", "subject": "x"}], "the data set has no `category` column"),
        ([{"prompt": "a", "subject": "x"}], "it has: prompt, subject; add one, rename the one that holds it"),
        ([{"prompt": "a", "category": "x"}, {"prompt": "b", "category": None}], "missing in 1 of 2 rows"),
    ],
)
@pytest.mark.parametrize("make", [Bandit, MissingSkills])
def test_a_missing_category_is_told(make, rows, said):
    with pytest.raises(ValueError) as error:
        make().bind(make_pool(rows), None)
    assert said in str(error.value)


def test_numbers_can_be_categories():
    assert bound(Bandit(), [3, 1, 3]).names == ["1", "3"]
