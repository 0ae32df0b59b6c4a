"""Guards the value model: it learns mean and dispersion, ignores what has no score, resumes to the bit."""

import numpy as np
import pytest
import torch

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import build_curriculum
from rlkit.curriculum.calibration import spearman
from rlkit.curriculum.estimators.features.text import prompt_text
from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.types import Groups, Prediction

NUM = 96
EVERYTHING = np.arange(NUM)
NAN = np.nan


class Bumps:
    """Prompts on a line of success rates; features are bumps along it."""

    p_N = np.linspace(0.02, 0.98, NUM)

    def features(self, index_N):
        return np.exp(-((self.p_N[index_N, None] - np.linspace(0, 1, 6)) ** 2) * 10).astype(np.float32)

    def truth(self, index_N):
        return None


def pool_of(texts):
    return make_pool([{"prompt": text} for text in texts])


def model(**settings) -> ValueModel:
    value_model = ValueModel(**settings)
    value_model.bind(pool_of([f"p{i}" for i in range(NUM)]), Bumps())
    return value_model


def graded(index_P, signal_PG) -> Groups:
    return Groups(index_P, signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def flips(rng, index_P, num=8) -> np.ndarray:
    return (rng.random((len(index_P), num)) < Bumps.p_N[index_P, None]).astype(float)


def teach(value_model, signals, num_rounds=10, seed=0) -> None:
    """Rounds of half of the prompts; `signals` draws their (P, G) outcomes."""
    rng = np.random.default_rng(seed)
    for _ in range(num_rounds):
        index_P = rng.permutation(NUM)[: NUM // 2]
        prediction = value_model.predict(index_P)
        value_model.observe(graded(index_P, signals(rng, index_P)), prediction)


def same(first: Prediction, second: Prediction) -> None:
    np.testing.assert_array_equal(first.mean_N, second.mean_N)
    np.testing.assert_array_equal(first.variance_N, second.variance_N)
    np.testing.assert_array_equal(first.error_N, second.error_N)


def test_it_learns_the_simulators_policy():
    config = SimulationConfig(num_prompts=1000, seed=3)
    host = SimulatedHost(config)
    curriculum = build_curriculum("pcl")
    curriculum.bind(pool_of([f"p{i}" for i in range(1000)]), host, 32)
    for _ in range(40):
        host.learn(collect(curriculum, host, 32, NoLedger()))
    p_N, mean_N = host.truth(np.arange(1000)), curriculum.estimator.predict(np.arange(1000)).mean_N
    assert spearman(mean_N, p_N) > 0.8
    # The expected Brier score of one more completion each; a constant 1/2 has 0.25 whatever the truth.
    brier = np.mean((mean_N - p_N) ** 2 + p_N * (1 - p_N))
    assert brier < 0.2
    # Far from the prompts near one half that it was taught on, too.
    assert np.mean((mean_N - p_N) ** 2) < 0.25 * p_N.var()


def test_before_any_outcome_it_has_next_to_no_opinion():
    prediction = model().predict(EVERYTHING)
    np.testing.assert_array_equal(prediction.mean_N, 0.5)
    np.testing.assert_allclose(prediction.variance_N, 0.25 * 0.9526, rtol=1e-3)
    np.testing.assert_allclose(prediction.error_N, np.sqrt(1 / 12))


def test_it_learns_mean_and_variance_of_binary_rewards():
    value_model = model()
    teach(value_model, flips, num_rounds=25)
    prediction = value_model.predict(EVERYTHING)
    p_N = Bumps.p_N
    assert np.abs(prediction.mean_N - p_N).mean() < 0.08
    middle = (p_N > 0.2) & (p_N < 0.8)
    dispersion = prediction.variance_N[middle] / (prediction.mean_N * (1 - prediction.mean_N))[middle]
    assert dispersion.mean() > 0.85


def test_the_dispersion_of_pairs_is_not_underrated():
    """The biased variance of two flips is half of p(1-p): the model must not take this for dispersion."""
    value_model = model()
    teach(value_model, lambda rng, index_P: flips(rng, index_P, num=2), num_rounds=30)
    prediction = value_model.predict(EVERYTHING)
    middle = (Bumps.p_N > 0.2) & (Bumps.p_N < 0.8)
    dispersion = prediction.variance_N[middle] / (prediction.mean_N * (1 - prediction.mean_N))[middle]
    assert dispersion.mean() > 0.8


def test_graded_rewards_have_less_variance_than_binary_ones():
    def mostly_sure(rng, index_P):
        """Means p, and a tenth of a coin flip's variance: p + (flip - p) * sqrt(0.1)."""
        p_P = Bumps.p_N[index_P, None]
        return p_P + (flips(rng, index_P) - p_P) * np.sqrt(0.1)

    value_model = model()
    teach(value_model, mostly_sure, num_rounds=40)
    prediction = value_model.predict(EVERYTHING)
    middle = (Bumps.p_N > 0.2) & (Bumps.p_N < 0.8)
    dispersion = prediction.variance_N[middle] / (prediction.mean_N * (1 - prediction.mean_N))[middle]
    assert 0.03 < dispersion.mean() < 0.2


def test_variance_is_always_possible():
    value_model = model()
    teach(value_model, flips)
    prediction = value_model.predict(EVERYTHING)
    assert (prediction.variance_N >= 0).all()
    assert (prediction.variance_N <= prediction.mean_N * (1 - prediction.mean_N) + 1e-7).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 2.0), (-1.0, 1.0)])
def test_other_signal_ranges_are_the_same_model_on_another_scale(low, high):
    def stretched(rng, index_P):
        return low + (high - low) * flips(rng, index_P)

    unit, wide = model(), model(signal_min=low, signal_max=high)
    teach(unit, flips)
    teach(wide, stretched)
    expected, prediction = unit.predict(EVERYTHING), wide.predict(EVERYTHING)
    np.testing.assert_allclose(prediction.mean_N, low + (high - low) * expected.mean_N, atol=1e-3)
    np.testing.assert_allclose(prediction.variance_N, (high - low) ** 2 * expected.variance_N, atol=1e-3)
    np.testing.assert_allclose(prediction.error_N, (high - low) * expected.error_N, rtol=1e-3)
    assert wide.metrics()["value_model/error"] == pytest.approx(unit.metrics()["value_model/error"], rel=1e-3)


def test_a_signal_outside_its_range_does_not_break_it():
    value_model = model()
    teach(value_model, lambda rng, index_P: 3 * flips(rng, index_P) - 1)
    prediction = value_model.predict(EVERYTHING)
    assert np.isfinite(prediction.mean_N).all() and np.isfinite(value_model.metrics()["value_model/loss"])


def test_groups_without_a_score_teach_nothing():
    value_model, untaught = model(), model()
    before = untaught.predict(EVERYTHING)
    value_model.observe(graded(EVERYTHING, np.full((NUM, 4), NAN)), value_model.predict(EVERYTHING))
    same(value_model.predict(EVERYTHING), before)
    assert value_model.state_dict()["head"]["recent"] == []


def test_groups_without_a_score_are_as_if_they_were_not_there():
    with_gaps, without = model(), model()
    rng = np.random.default_rng(0)
    for _ in range(3):
        signal_PG = flips(rng, EVERYTHING)
        scored = EVERYTHING % 3 > 0
        prediction = with_gaps.predict(EVERYTHING)
        with_gaps.observe(graded(EVERYTHING, np.where(scored[:, None], signal_PG, NAN)), prediction)
        prediction = without.predict(EVERYTHING)
        without.observe(graded(EVERYTHING[scored], signal_PG[scored]), prediction.take(EVERYTHING[scored]))
    same(with_gaps.predict(EVERYTHING), without.predict(EVERYTHING))


def test_half_scored_groups_teach_what_they_have():
    def half(rng, index_P):
        return np.where(np.arange(8) < 4, flips(rng, index_P), NAN)

    value_model = model()
    teach(value_model, half, num_rounds=25)
    assert spearman(value_model.predict(EVERYTHING).mean_N, Bumps.p_N) > 0.95


def test_groups_of_one_completion_are_no_evidence_of_dispersion():
    value_model = model()
    teach(value_model, lambda rng, index_P: flips(rng, index_P, num=1), num_rounds=25)
    prediction = value_model.predict(EVERYTHING)
    assert spearman(prediction.mean_N, Bumps.p_N) > 0.9
    assert np.isfinite(prediction.variance_N).all() and np.isfinite(prediction.error_N).all()


def test_its_stated_error_shrinks_as_it_learns():
    value_model = model()
    teach(value_model, flips, num_rounds=2)
    early = value_model.metrics()["value_model/error"]
    teach(value_model, flips, num_rounds=40, seed=1)
    late = value_model.metrics()["value_model/error"]
    truth = np.sqrt(np.mean((value_model.predict(EVERYTHING).mean_N - Bumps.p_N) ** 2))
    assert late < early / 2
    assert late < 3 * max(truth, 0.03)


@pytest.mark.parametrize("num_rounds", [0, 1, 20])  # the buffer holds 16
def test_state_round_trip_to_the_bit(num_rounds, tmp_path):
    first, second = model(), model(seed=5)
    teach(first, flips, num_rounds)
    save_state(tmp_path, "value_model", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "value_model"))
    assert num_rounds == 0 or second.state_dict()["head"]["optimizer"]["state"][0]["step"] == 8 * num_rounds
    assert len(second.state_dict()["head"]["recent"]) == min(num_rounds, 16)
    if num_rounds:
        same(first.predict(EVERYTHING), second.predict(EVERYTHING))
        for value_model in (first, second):
            teach(value_model, flips, num_rounds=3, seed=9)
        same(first.predict(EVERYTHING), second.predict(EVERYTHING))
        assert first.metrics() == second.metrics()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden": 32}, "value_hidden=64, this run asks for 32"),
        ({"features": "text"}, "value_features='policy', this run asks for 'text'"),
    ],
)
def test_a_checkpoint_of_another_make_is_told(settings, said):
    first = model()
    teach(first, flips, num_rounds=1)
    with pytest.raises(ValueError) as error:
        model(**settings).load_state_dict(first.state_dict())
    assert said in str(error.value) and "resume with the checkpoint's" in str(error.value)


def test_making_and_fitting_leave_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    teach(model(seed=7), flips, num_rounds=2)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_the_text_feature_learns_from_words():
    rng = np.random.default_rng(0)
    numbers = rng.integers(10, 99, (200, 2))
    easy = rng.random(200) < 0.5
    texts = [
        f"Add {a} to {b}." if plain else f"Multiply {a} by {b}."
        for (a, b), plain in zip(numbers, easy, strict=True)
    ]
    pool = pool_of(dict.fromkeys(texts))
    p_N = np.array([0.9 if row["prompt"].startswith("Add") else 0.1 for row in pool.rows])
    value_model = ValueModel(features="text")
    value_model.bind(pool, Bumps())
    unseen = np.arange(len(pool)) >= 120
    for _ in range(6):
        index_P = rng.permutation(120)[:32]
        signal_PG = (rng.random((32, 8)) < p_N[index_P, None]).astype(float)
        value_model.observe(graded(index_P, signal_PG), value_model.predict(index_P))
    mean_N = value_model.predict(np.arange(len(pool))).mean_N
    assert mean_N[unseen & (p_N > 0.5)].min() > 0.7
    assert mean_N[unseen & (p_N < 0.5)].max() < 0.3


def test_messages_are_read_as_their_text():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "2+2?"}]},
    ]
    assert prompt_text(messages) == "Be brief.\n2+2?"
    assert prompt_text("2+2?") == "2+2?"
