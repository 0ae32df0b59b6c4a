"""Guards the features of the policy and of the past: their numbers, what is kept, and the way back."""

from types import SimpleNamespace

import numpy as np
import pytest

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators import Reading
from rlkit.curriculum.estimators.features import make_features
from rlkit.curriculum.estimators.features.past import DECAY, Past
from rlkit.curriculum.estimators.features.readings import Readings
from rlkit.curriculum.estimators.perplexity_band import FEWEST, PerplexityBand
from rlkit.curriculum.scale import Scale
from rlkit.hosts.simulated.host import SimulationConfig, prepare, simulate
from rlkit.prompts.pool import PromptPool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups

ROWS = [{"prompt": f"p{row}", "answer": str(row) if row % 5 else ""} for row in range(60)]


class Policy:
    """Shows the prompt's index, and how often it was asked: it moves on."""

    shows = ("states", "likelihood", "perplexity")

    def __init__(self):
        self.asked = []

    def read(self, index_N, layer, reference_N):
        self.asked.append(index_N.tolist())
        age = len(self.asked)
        state = np.stack([np.stack([index_N, index_N + age, 0 * index_N], 1)] * 2, 1).astype(np.float32)
        golds = None if reference_N is None else np.array([float(gold or "nan") for gold in reference_N])
        likelihood = None if golds is None else -np.stack([2 * golds, golds, golds + 1], 1) / 100
        perplexity = -index_N / 100.0 if layer is None and reference_N is None else None
        return Reading(None if layer is None else state, likelihood, perplexity)


def pool_of(rows=ROWS) -> PromptPool:
    return PromptPool(rows, np.arange(len(rows), dtype=np.uint64))


def bound(names, **settings):
    pool, policy = pool_of(), Policy()
    features = make_features(tuple(names.split(",")), **settings)
    for feature in features:
        feature.bind(pool, policy)
    return pool, policy, features


def look(pool, feature, index):
    index_N = np.array(index)
    return feature.look(index_N, pool.take(index_N)).number_NK


def test_states_are_centered_and_of_unit_length_for_both_poolings():
    pool, _, (states,) = bound("states")
    number_NK = look(pool, states, [3, 4])
    expected = np.array([3, 4, 0]) - 7 / 3
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(number_NK[0], [*expected, *expected], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(number_NK.reshape(2, 2, 3), axis=2), 1, rtol=1e-6)


def test_likelihood_by_hand_and_missing_without_a_gold():
    pool, _, (likelihood,) = bound("likelihood")
    number_NK = look(pool, likelihood, [10, 11])
    assert np.isnan(number_NK[0]).all()
    expected = [-0.22, -0.11, -0.12, np.exp(-0.22), np.exp(-0.12)]
    np.testing.assert_allclose(number_NK[1], expected, rtol=1e-6)


def test_one_forward_serves_both_features_and_as_many_steps_as_told():
    pool, policy, features = bound("states,likelihood", age=2)
    for feature in features:
        look(pool, feature, [1, 2])
    assert policy.asked == [[1, 2]], "both are read at once"
    first = look(pool, features[0], [2, 7, 1])
    assert policy.asked == [[1, 2], [7]], "what is known is not read again"
    pool.observe(np.array([1]), 0)
    np.testing.assert_array_equal(look(pool, features[0], [2, 7, 1]), first)
    pool.observe(np.array([1]), 1)
    look(pool, features[0], [2, 7, 1])
    assert policy.asked[2:] == [[2, 7, 1]], "too old after two steps"


def test_a_host_without_a_policy_is_told_in_words():
    for names in ("states", "likelihood"):
        curriculum = build_curriculum(CurriculumConfig("pcl", value_features=f"text,{names}"))
        with pytest.raises(ValueError, match=rf"value_features names {names}, which needs the policy itself"):
            prepare(curriculum, SimulationConfig(num_prompts=40))


def test_likelihood_without_golds_is_told():
    feature = make_features(("likelihood",), "solution")[0]
    with pytest.raises(ValueError, match="names likelihood and the data set has no `solution` column"):
        feature.bind(pool_of(), Policy())


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"value_layer": 1.5}, r"value_layer \(1.5\) must be above 0 and at most 1"),
        ({"value_layer": 0.0}, r"value_layer \(0.0\) must be above 0"),
        ({"feature_age": 0}, r"feature_age \(0\) must be at least 1"),
    ],
)
def test_impossible_settings_are_told(numbers, message):
    with pytest.raises(ValueError, match=message):
        build_curriculum(CurriculumConfig("rlkit", **numbers))


GOLDS = ["7", "3/4", 12, 2.5, None, "", [1, 2], {"a": 1}, True, "x" * 10_000, float("nan")]


def test_golds_of_all_types_are_read():
    rows = [{"prompt": f"p{row}", "answer": gold} for row, gold in enumerate(GOLDS)]
    pool, seen = pool_of(rows), []

    def read(index_N, layer, reference_N):
        seen.extend(reference_N)
        return Reading(None, np.zeros((len(index_N), 3)), None)

    answer, likelihood = make_features(("answer", "likelihood"))
    for feature in (answer, likelihood):
        feature.bind(pool, SimpleNamespace(shows=Policy.shows, read=read))
        number_NK = look(pool, feature, range(len(GOLDS)))
        assert np.isfinite(number_NK).all()
    assert seen[:8] == ["7", "3/4", "12", "2.5", "", "", "[1, 2]", '{"a": 1}']


def test_the_past_by_hand():
    pool, past = pool_of(), Past(Scale(0, 2))
    past.bind(pool, Policy())
    assert not look(pool, past, [0, 1]).any()
    signal_PG = np.array([[2.0, 2, 0, np.nan], [np.nan] * 4])
    groups = Groups(np.array([0, 1]), signal_PG, signal_PG, np.array([[5, 5, 7, 3]] * 2))
    pool.observe(groups.index_P, 4)
    past.observe(groups)
    number_NK = look(pool, past, [0, 1])
    count = 3 * DECAY
    weight = count / (count + 1)
    np.testing.assert_allclose(number_NK[0], [weight / 6, weight, 1, np.log(2), np.log(6)], rtol=1e-6)
    assert not number_NK[1].any(), "nothing of it was scored"
    pool.observe(np.array([0]), 9)
    assert look(pool, past, [0])[0, 3] == pytest.approx(np.log(7))


def test_each_feature_with_a_state_comes_back_bit_equal(tmp_path):
    names = "states,likelihood,past"
    pool, _, features = bound(names, age=3)
    signal_PG = np.eye(4)
    for step in range(4):
        for feature in features:
            look(pool, feature, [step, 20, 30 + step])
        pool.observe(np.arange(4), step)
        for feature in features:
            feature.observe(Groups(np.arange(4), signal_PG, signal_PG, signal_PG))
    save_state(tmp_path, "features", {"all": [feature.state_dict() for feature in features]})
    other_pool, other_policy, others = bound(names, age=3)
    other_pool.load_state_dict(pool.state_dict())
    for feature, state in zip(others, load_state(tmp_path, "features")["all"], strict=True):
        feature.load_state_dict(state)
    index = [3, 20, 33, 32]
    for one, other in zip(features, others, strict=True):
        np.testing.assert_array_equal(look(pool, one, index), look(other_pool, other, index))
    assert other_policy.asked == [], "what was read before the stop still serves"


def test_readings_of_prompts_that_are_gone_are_dropped():
    pool, _, _ = bound("states")
    readings = Readings(0.5, None, 5)
    readings.bind(pool, Policy(), "states")
    readings(np.array([3, 50]), pool.take(np.array([3, 50])))
    state = readings.state_dict()
    smaller = Readings(0.5, None, 5)
    smaller.bind(pool_of(ROWS[:10]), Policy(), "states")
    smaller.load_state_dict(state)
    assert smaller._index_K.tolist() == [3]


def test_the_band_drops_both_tails_and_counts_what_is_no_number():
    band, policy = PerplexityBand(0.25, 0.75), Policy()
    policy.read = lambda index_N, layer, reference_N: Reading(
        None, None, np.where(index_N == 7, np.nan, -index_N / 100)
    )
    band.bind(pool_of(), policy)
    assert band.admission(np.arange(60)).all(), "before the first step nothing is read"
    band.load_state_dict({"has_begun": True, "recent": [], "num_looked": 0, "num_dropped": 0})
    assert band.admission(np.arange(FEWEST - 20)).all(), "too few to have a band"
    admitted = band.admission(np.arange(60))
    values = [value for value in [*range(FEWEST - 20), *range(60)] if value != 7]
    low, high = np.quantile(values, [0.25, 0.75])
    assert np.flatnonzero(admitted).tolist() == [v for v in range(60) if low <= v <= high and v != 7]
    assert band.metrics()["perplexity_band/dropped"] == pytest.approx(1 - admitted.mean())
    other = PerplexityBand(0.25, 0.75)
    other.load_state_dict(band.state_dict())
    other.bind(pool_of(), policy)
    np.testing.assert_array_equal(other.admission(np.arange(60)), band.admission(np.arange(60)))


def test_the_band_needs_a_host_that_shows_perplexity():
    with pytest.raises(ValueError, match="perplexity_band' reads each prompt with the policy"):
        PerplexityBand().bind(pool_of(), SimpleNamespace(shows=()))


def test_the_band_in_the_simulator_passes_over_the_easiest_and_the_hardest():
    config = SimulationConfig(num_prompts=400, num_steps=10, groups_per_step=16)
    curriculum = build_curriculum("perplexity_band")
    last = simulate(curriculum, config)[-1]
    assert 0.1 < last["perplexity_band/dropped"] < 0.4
