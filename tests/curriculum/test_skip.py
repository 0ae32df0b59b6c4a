"""Guards GRESO's rule: runs, skip probabilities as published, p that follows the share without variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.estimators.skip import Skip
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups, Prediction

NOTHING = np.empty(0, dtype=int)


def bound(num=12, passes=0, **numbers) -> Skip:
    skip = Skip(**numbers)
    pool = make_pool([{"prompt": f"p{i}"} for i in range(num)])
    for _ in range(passes):
        pool.draw(num, NOTHING)
    skip.bind(pool, None)
    return skip


def teach(skip, index, means, step=0) -> None:
    """Groups of 100 with these means: 0.98 is easy, 0.11 is hard."""
    signal_PG = (np.arange(100) < 100 * np.asarray(means)[:, None] - 1e-6).astype(float)
    groups = Groups(np.asarray(index), signal_PG, signal_PG, signal_PG)
    skip.pool.observe(groups.index_P, step)
    skip.observe(groups, Prediction.neutral(len(groups)))


def test_runs_count_groups_in_a_row_of_one_kind():
    skip = bound()
    for means in (
        [1.0, 0.0, 0.98, 0.11],
        [1.0, 0.0, 0.97, 0.12],
        [0.5, 1.0, 0.98, 0.0],
        [1.0, 1.0, 0.0, 0.0],
    ):
        teach(skip, range(4), means)
    assert skip.run_N.tolist() == [1, 2, -1, -2] + [0] * 8


@pytest.mark.parametrize(
    ("run", "kept"), [(0, 1.0), (1, 0.5), (2, 0.25), (6, 0.015625), (7, 0.01), (100, 0.01)]
)
@pytest.mark.parametrize("mean", [1.0, 0.0])
def test_skip_probabilities_as_published(run, kept, mean):
    """1 - max(p^z, 0.01) with p = 0.5."""
    skip = bound()
    for _ in range(run):
        teach(skip, [3], [mean])
    np.testing.assert_allclose(skip.admission(np.array([3])), [kept])


@given(
    p_easy=st.floats(0.05, 0.95),
    p_hard=st.floats(0.05, 0.95),
    runs=st.lists(st.integers(-400, 400), min_size=12, max_size=12),
)
def test_each_kind_has_its_own_p(p_easy, p_hard, runs):
    skip = bound()
    skip.p, skip.run_N = np.array([p_easy, p_hard]), np.array(runs)
    expected = [max((p_easy if run > 0 else p_hard) ** abs(run), 0.01) for run in runs]
    np.testing.assert_allclose(skip.admission(np.arange(12)), expected)


def test_p_rests_in_the_first_pass():
    skip = bound()
    teach(skip, range(4), [1.0, 1.0, 0.0, 0.5])
    assert skip.p.tolist() == [0.5, 0.5]


def test_p_moves_a_hundredth_a_step_toward_its_share_of_the_target():
    # The target is 0.25: 1/12 of the groups may be easy, 1/6 hard.
    skip = bound(passes=1)
    teach(skip, range(12), [1.0, 0.0] + [0.5] * 10, step=0)  # 1/12 easy is enough to lower, 1/12 hard is not
    np.testing.assert_allclose(skip.p, [0.49, 0.51])
    teach(skip, range(12), [0.5, 0.0, 0.0] + [0.5] * 9, step=1)
    np.testing.assert_allclose(skip.p, [0.50, 0.50])


def test_several_rounds_of_a_step_move_p_once_by_all_their_groups():
    skip = bound(passes=1)
    teach(skip, range(2), [1.0, 0.0], step=0)
    np.testing.assert_allclose(skip.p, [0.49, 0.49])
    teach(skip, range(2, 12), [0.5] * 10, step=0)  # together 1/12 easy, 1/12 hard
    np.testing.assert_allclose(skip.p, [0.49, 0.51])
    assert skip.metrics()["skip/easy_share"] == pytest.approx(1 / 12)


@pytest.mark.parametrize(("means", "end"), [([1.0, 0.0], 0.05), ([0.5, 0.5], 0.95)])
def test_p_stays_within_its_bounds(means, end):
    skip = bound(passes=1)
    for step in range(60):
        teach(skip, range(2), means, step)
    np.testing.assert_allclose(skip.p, [end, end])


def test_unscorable_groups_leave_a_run_as_it_is():
    skip = bound()
    teach(skip, [0], [1.0])
    unscorable = np.full((1, 4), np.nan)
    skip.observe(Groups(np.array([0]), unscorable, unscorable, unscorable), Prediction.neutral(1))
    assert skip.run_N[0] == 1
