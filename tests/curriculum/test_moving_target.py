"""Guards AdaRFT's rule: the target by hand, its limits, and that a still target does not repeat prompts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.moving_target import MovingTarget
from rlkit.prompts.pool import make_pool
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Prediction


def bound(columns, **numbers) -> MovingTarget:
    moving = MovingTarget(**numbers)
    num = len(next(iter(columns.values())))
    rows = [{"prompt": f"p{i}", **{name: values[i] for name, values in columns.items()}} for i in range(num)]
    moving.bind(make_pool(rows), None)
    return moving


def teach(moving, signal_PG) -> None:
    signal_PG = np.asarray(signal_PG, dtype=float)
    groups = Groups(np.arange(len(signal_PG)), signal_PG, signal_PG, signal_PG)
    moving.observe(groups, Prediction.neutral(len(groups)))


def test_the_target_by_hand():
    moving = bound({"pass_rate": [0.5, 0.5]})
    assert moving.target == 0
    teach(moving, [[1, 1], [1, 0]])  # mean 0.75
    assert moving.target == pytest.approx(50 * np.tanh(2 * 0.25))
    teach(moving, [[1, 0], [0, 1]])
    assert moving.target == pytest.approx(50 * np.tanh(0.5))  # at beta it stands still
    teach(moving, [[0, 0], [0, 0]])
    assert moving.target == 0  # 23.1 - 50 tanh(1), clipped
    assert moving.metrics() == {"moving_target/difficulty": 0}


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0, 100))
def test_the_target_stays_between_easiest_and_hardest(means, start):
    moving = bound({"pass_rate": [0.5]}, start=start)
    for mean in means:
        teach(moving, [[mean]])
        assert 0 <= moving.target <= 100


def test_difficulty_is_the_column_or_what_the_pass_rate_leaves():
    from_rate = bound({"pass_rate": [1.0, 0.75, 0.0]}, start=25.0)
    from_column = bound({"pass_rate": [0.0, 0.0, 0.0], "difficulty": [0, 25, 100]}, start=25.0)
    for moving in (from_rate, from_column):
        mean_N = moving.predict(np.arange(3)).mean_N
        assert mean_N[1] == 0.5  # at the target the mean is beta
        np.testing.assert_allclose(mean_N, [0.625, 0.5, 0.125])


@given(
    beta=st.floats(0.05, 0.95), start=st.floats(0, 100), difficulty=st.lists(st.floats(0, 100), min_size=2)
)
def test_nearest_to_beta_is_nearest_to_the_target(beta, start, difficulty):
    moving = bound({"difficulty": difficulty}, beta=beta, start=start)
    mean_N = moving.predict(np.arange(len(difficulty))).mean_N
    assert ((mean_N >= -1e-9) & (mean_N <= 1 + 1e-9)).all()
    distance = np.abs(np.float32(difficulty).astype(float) - start)
    np.testing.assert_allclose(np.abs(mean_N - beta), distance / 100 * min(beta, 1 - beta), atol=1e-9)


def test_a_still_target_takes_other_prompts_each_step():
    curriculum = build_curriculum(CurriculumConfig("adarft", candidates=4))
    rows = [{"prompt": f"p{i}", "difficulty": i} for i in range(80)]
    curriculum.bind(make_pool(rows), None, 4)
    seen = [set(curriculum.sources[-1].propose(4, np.empty(0, dtype=int)).index_P.tolist()) for _ in range(5)]
    assert len(set.union(*seen)) == 20


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"level": [1, 2]}, "the data set has no `pass_rate` column"),
        ({"difficulty": [0, 101]}, "`difficulty` must lie in 0 to 100, got 0.0 to 101.0; scale it"),
        ({"difficulty": [0, None]}, "`difficulty` is missing in 1 of 2 rows"),
    ],
)
def test_columns_that_do_not_do(columns, said):
    with pytest.raises(ValueError) as error:
        bound(columns)
    assert said in str(error.value)
