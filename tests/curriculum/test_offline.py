"""Guards the presets made from measured pass rates: subsets by hand, orders, what is told of bad columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.offline import ranked, solvable, unsaturated
from rlkit.prompts.pool import make_pool
from rlkit.settings.config import CurriculumConfig

NOTHING = np.empty(0, dtype=int)
RATES = [0.0, 0.5, 1.0, 0.75, 0.25, 0.0, 1.0, 0.1]
STATIC = ("hard_examples", "prefilter", "rif", "easy_to_hard")


def keys(num: int) -> np.ndarray:
    return np.arange(num, dtype=np.uint64)


def bound(config, rates=RATES, num_groups=1):
    curriculum = build_curriculum(config)
    curriculum.bind(
        make_pool([{"prompt": f"p{i}", "pass_rate": rate} for i, rate in enumerate(rates)]), None, num_groups
    )
    return curriculum


def passed(curriculum, num) -> list[int]:
    """The prompts of the next steps, one each."""
    return [int(curriculum.sources[-1].propose(1, NOTHING).index_P[0]) for _ in range(num)]


@pytest.mark.parametrize(
    ("which", "share", "chosen"),
    [
        ("hard", 0.25, [0, 5]),
        ("easy", 0.25, [2, 6]),
        ("medium", 0.25, [1, 4]),
        ("hard", 0.3, [0, 5, 7]),  # 2.4 prompts are 3
        ("hard", 0.1, [0]),  # of equal rates the smaller key
        ("random", 0.5, [0, 1, 2, 3]),  # the smaller keys, which are hashes
        ("easy", 1.0, range(8)),
    ],
)
def test_subsets(which, share, chosen):
    kept = ranked(np.array(RATES), keys(8), which, share)
    assert np.flatnonzero(kept).tolist() == list(chosen)


@given(
    rates=st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=1, max_size=40),
    which=st.sampled_from(["hard", "medium", "easy", "random"]),
    share=st.floats(0.01, 1),
)
def test_a_subset_has_its_share_and_its_side(rates, which, share):
    rate_N = np.array(rates)
    kept = ranked(rate_N, keys(len(rates)), which, share)
    assert kept.sum() == np.ceil(share * len(rates) - 1e-9)
    if which in ("hard", "easy") and not kept.all():
        sign = 1 if which == "hard" else -1
        assert (sign * rate_N[kept]).max() <= (sign * rate_N[~kept]).min()


def test_prefilter_and_rif():
    assert np.flatnonzero(unsaturated(np.array(RATES), keys(8))).tolist() == [1, 3, 4, 7]
    assert np.flatnonzero(solvable(np.array(RATES), keys(8))).tolist() == [1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize(
    ("config", "admitted"),
    [
        (CurriculumConfig("hard_examples", subset_share=0.25), {0, 5}),
        (CurriculumConfig("hard_examples", subset="easy", subset_share=0.25), {2, 6}),
        (CurriculumConfig("prefilter"), {1, 3, 4, 7}),
        (CurriculumConfig("rif"), {1, 2, 3, 4, 6, 7}),
    ],
)
def test_a_subset_is_all_that_is_drawn_each_once_a_pass(config, admitted):
    curriculum = bound(config)
    drawn = passed(curriculum, 3 * len(admitted))
    for first in range(0, len(drawn), len(admitted)):
        assert set(drawn[first : first + len(admitted)]) == admitted
    metrics = curriculum.metrics()
    assert metrics["admission/forced"] == 0 and metrics["admission/admitted"] == len(drawn)
    assert metrics["offline/kept"] == len(admitted) / 8


def test_easy_to_hard_is_in_order_within_each_pass_and_ties_are_shuffled():
    curriculum = bound("easy_to_hard")
    rates = np.array(RATES)
    first, second = passed(curriculum, 8), passed(curriculum, 8)
    for drawn in (first, second):
        assert sorted(drawn) == list(range(8))
        assert (np.diff(rates[drawn]) <= 0).all()
    orders = {tuple(passed(curriculum, 8)) for _ in range(12)}
    assert len(orders) == 4


def test_predictions_are_the_rates_on_the_signals_scale():
    curriculum = bound(CurriculumConfig("rif", signal_max=2.0))
    prediction = curriculum.estimator.predict(np.array([2, 3]))
    np.testing.assert_allclose(prediction.mean_N, [2.0, 1.5])
    np.testing.assert_allclose(prediction.variance_N, [0.0, 4 * 0.1875])


@pytest.mark.parametrize("name", STATIC)
def test_a_missing_column_is_told(name):
    curriculum = build_curriculum(name)
    with pytest.raises(ValueError) as error:
        curriculum.bind(make_pool([{"prompt": "a", "solved": 0.5}]), None, 1)
    message = str(error.value)
    assert f"curriculum={name!r}" in message and "has no `pass_rate` column" in message
    assert "it has: prompt, solved" in message and "rename the one that holds it" in message


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([0.5, None], "`pass_rate` is missing in 1 of 2 rows; drop those rows"),
        ([0.5, 50.0], "`pass_rate` must lie in 0 to 1, got 0.5 to 50.0; divide percentages by 100"),
    ],
)
@pytest.mark.parametrize("name", STATIC)
def test_bad_rates_are_told(name, rates, said):
    with pytest.raises(ValueError) as error:
        bound(name, rates)
    assert said in str(error.value)


def test_a_subset_smaller_than_a_batch_is_told():
    with pytest.raises(ValueError) as error:
        bound("hard_examples", num_groups=2)
    message = str(error.value)
    assert "curriculum='hard_examples' admits 1 of the pool's 8 prompts, fewer than the 2" in message
    assert "widen what it admits" in message
