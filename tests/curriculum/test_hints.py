"""Hints: each rule by hand, what no rule may do, and the curriculum's account of help."""

import logging
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import build_curriculum
from rlkit.curriculum.hints import RULES, make_hints
from rlkit.curriculum.hints.adaback import AdaBack
from rlkit.curriculum.hints.effect import SLOPE, SLOPE_SD, STEEPER, Effect
from rlkit.curriculum.hints.guided import Guided
from rlkit.curriculum.hints.hints import Hints
from rlkit.curriculum.hints.predicted import Predicted
from rlkit.curriculum.presets import resolve_config
from rlkit.curriculum.scale import Scale
from rlkit.hosts.simulated.host import SimulationConfig, prepare, run
from rlkit.prompts.pool import make_pool
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Prediction

CUTS = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
POOL = [{"prompt": str(i), "solution": "1\n2\n3\n4\n5"} for i in range(8)]


def graded(means: list[float], shares: list[float], count: int = 4) -> Groups:
    """Groups of prompts 0, 1, ... with these means."""
    signal_PG = np.array(
        [[1.0] * round(mean * count) + [0.0] * (count - round(mean * count)) for mean in means]
    )
    lengths = np.ones(signal_PG.shape, dtype=int)
    return Groups(np.arange(len(means)), signal_PG, signal_PG, lengths, share_P=np.array(shares))


def bound(rule, scale: Scale | None = None):
    """The rule with a pool and an effect of its own."""
    effect, pool = Effect(scale or Scale()), make_pool(POOL)
    effect.bind(pool)
    rule.bind(pool, effect)
    return rule


def test_adaback_by_hand():
    """A reached mean lowers the upper end, another raises the lower one; then both give way by a tenth."""
    rule = bound(AdaBack(tau=0.5, widening=0.1, scale=Scale()))
    rule.observe(graded([0.5, 0.25], [0.4, 0.4]))
    assert rule.lower_N[:3].tolist() == pytest.approx([0.0, 0.36, 0.0])
    assert rule.upper_N[:3].tolist() == pytest.approx([0.46, 1.0, 1.0])
    rule.observe(graded([0.0, 1.0], [0.2, 0.6]))
    assert rule.lower_N[:2].tolist() == pytest.approx([0.18, 0.324])
    assert rule.upper_N[:2].tolist() == pytest.approx([0.514, 0.64])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**32 - 1)), max_size=30))
def test_adaback_stays_in_its_interval(history):
    """Whatever came out, no share is above the upper end, and below the lower one only between two cuts."""
    rule = bound(AdaBack(tau=0.5, widening=0.1, scale=Scale()))
    for solved, seed in history:
        lower, upper = rule.lower_N[0], rule.upper_N[0]
        share = rule.choose(np.array([0]), [CUTS], np.zeros(1), np.random.default_rng(seed))[0]
        assert 0 <= lower <= upper <= 1 and share in CUTS and share <= upper
        assert share >= lower or not ((lower <= CUTS) & (upper >= CUTS)).any()
        rule.observe(graded([float(solved)], [share]))


def test_guided_by_hand():
    """Means 0.25, 0.5 then 0.75: past 0.375 over 0.75 halves the share; three failures double it."""
    rule = bound(Guided(start=0.5, period=3, scale=Scale()))
    assert rule.choose(np.arange(2), [CUTS, CUTS[:2]], np.zeros(2), np.random.default_rng(0)).tolist() == [
        0.4,
        0.2,
    ]
    for step, mean in enumerate([0.25, 0.5, 0.75, 0.0, 0.0, 0.0, 1.0]):
        rule.pool.observe(np.arange(2), step)
        rule.observe(graded([mean], [0.4]))  # two rounds of a step are one step
        rule.observe(graded([mean], [0.4]))
        assert rule.share == pytest.approx([0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.5][step])


def test_predicted_takes_the_share_that_is_worth_most():
    """Of logit -4 with a slope of 8: worth at shares 0, 0.2 ... 0.8 by hand; an even prompt gets no help."""
    rule = bound(Predicted(price=1.0))
    rule._effect.weight = np.array([8.0, 0.0])
    p = 1 / (1 + np.exp(4 - 8 * CUTS))
    worth = p * (1 - p) * (1 - CUTS)
    assert worth.round(3).tolist() == [0.018, 0.061, 0.128, 0.086, 0.015]
    logits = np.array([-4.0, 0.0, 4.0])
    assert rule.choose(np.arange(3), [CUTS] * 3, logits, np.random.default_rng(0)).tolist() == [0.4, 0.0, 0.0]
    rule.price = 0.0
    assert rule.choose(np.arange(1), [CUTS], np.array([-5.0]), np.random.default_rng(0)).tolist() == [0.6]


def test_effect_by_hand():
    """One success of four with help: the mode solves n (m - p) = (y - y0) / S, and d and w share it."""
    effect = Effect(Scale())
    effect.bind(make_pool(POOL))
    neutral, index = Prediction.neutral(1), np.array([0])
    logit, variance = effect.unaided(index, neutral)
    assert logit[0] == 0 and variance[0] == pytest.approx(3.0, abs=0.01)  # a = b = 1: 2 (1 + 1/2)
    effect.expect(index, neutral)
    effect.observe(graded([0.25], [0.5]))
    of_weight = 0.25 * SLOPE_SD**2
    y0, spread = 0.5 * SLOPE, variance[0] + of_weight
    y = y0 + spread / of_weight * 0.5 * (effect.weight[0] - SLOPE)
    assert y < y0 and 1 - 4 / (1 + np.exp(-y)) == pytest.approx((y - y0) / spread, abs=1e-6)
    assert effect.weight[1] == STEEPER  # it has no part at d = 0
    slope = effect.weight.tolist()
    effect.observe(graded([0.0], [0.5]))
    assert effect.weight.tolist() == slope  # a group without any success says nothing of w
    assert effect.unaided(index, neutral)[0][0] < variance[0] / spread * (y - y0)


def test_effect_learns_the_slope_of_the_simulator():
    """Prompts of known logits with help: the slope comes within a tenth of the true 8, d within a logit."""
    rng, effect, pool = (
        np.random.default_rng(0),
        Effect(Scale()),
        make_pool([{"prompt": str(i)} for i in range(300)]),
    )
    effect.bind(pool)
    logit_N = rng.normal(-3, 1.5, 300)
    mean_N = 1 / (1 + np.exp(-logit_N))
    known = Prediction(mean_N, mean_N * (1 - mean_N), 0.3 * mean_N * (1 - mean_N))
    for step in range(4):
        pool.observe(np.arange(300), step)
        share_N = rng.choice(CUTS, 300)
        effect.expect(np.arange(300), known)
        right = rng.random((300, 8)) < (1 / (1 + np.exp(-logit_N - 8 * share_N)))[:, None]
        signal = right.astype(float)
        effect.observe(Groups(np.arange(300), signal, signal, signal, share_P=share_N))
    assert effect.slope(np.array([-3.0]))[0] == pytest.approx(8, rel=0.1)
    assert np.abs(effect.unaided(np.arange(300), known)[0] - logit_N).mean() < 1


def test_estimators_learn_from_unaided_groups_only():
    """A success with help leaves the prompt's posterior as it was; one without moves it."""
    curriculum = build_curriculum(CurriculumConfig(curriculum="mopps", hints="predicted"))
    curriculum.bind(make_pool(POOL), None, 2)  # type: ignore[arg-type]
    curriculum.learn(graded([1.0, 1.0], [0.4, 0.0]), Prediction.neutral(2))
    assert curriculum.estimator.measured(np.arange(2)).tolist() == pytest.approx([np.nan, 1.0], nan_ok=True)
    metrics = curriculum.hints.metrics()
    assert (metrics["hints/solved_unaided"], metrics["hints/solved_only_helped"]) == (1 / 8, 1 / 8)


def test_only_what_is_to_be_revealed_is_examined():
    """A grading of each beginning: not of prompts that stay unaided."""
    hints = Hints(Predicted(price=1.0), scale=Scale())
    hints.bind(make_pool(POOL))
    examined = []

    def examiner(row, solution, parts):
        examined.append(row["prompt"])
        return [""] * len(parts)

    hints.solutions.examiners = [examiner]
    share_P, _ = hints.settle(np.arange(3), np.array([0.0, 0.5, 0.0]), Prediction.neutral(3))
    assert examined == ["1"] and (share_P > 0).tolist() == [False, True, False]


def test_the_selector_prefers_an_unaided_prompt_of_the_same_variance():
    """At mean one half, help costs the variance its share; without a price nothing is taken off."""
    hints = make_hints(resolve_config(CurriculumConfig(hints="predicted")), Scale())
    even, share = Prediction.neutral(2), np.array([0.0, 0.4])
    priced = hints._priced(even, share)
    assert priced.variance_N.tolist() == pytest.approx([0.25, 0.15])
    assert priced.mean_N.tolist() == pytest.approx([0.5, 0.5 + np.sqrt(0.1)])  # m (1 - m) = 0.15
    free = Hints(AdaBack(tau=0.5, widening=0.1, scale=Scale()), scale=Scale())._priced(even, share)
    assert free.mean_N.tolist() == [0.5, 0.5] and free.variance_N.tolist() == [0.25, 0.25]


def test_help_must_gain_much_where_prompts_are_chosen():
    """At p = 0.1 help gains less than three times the variance: unaided, and seen as the estimator says."""
    curriculum = build_curriculum(CurriculumConfig(curriculum="mopps", hints="predicted"))
    curriculum.bind(make_pool(POOL), None, 2)  # type: ignore[arg-type]
    mean = np.array([0.1, 0.01])
    unaided = Prediction(mean, mean * (1 - mean), np.full(2, 0.01))
    hints, index, rng = curriculum.hints, np.arange(2), np.random.default_rng(0)
    share, _ = hints.offer(index, unaided, rng)
    assert (share > 0).all()
    share, seen = hints.offer(index, unaided, rng, chosen=True)
    assert share[0] == 0 and share[1] > 0
    assert seen.mean_N[0] == 0.1 and seen.variance_N[1] >= 3 * unaided.variance_N[1]


@pytest.mark.parametrize("curriculum", ["uniform", "dapo", "pcl", "speed", "ssb", "vcrl", "rlkit", "dots"])
@pytest.mark.parametrize("hints", list(RULES))
def test_shares_are_settled_beside_presets(curriculum, hints):
    """Beside all kinds of presets: what is rolled out is examined, and a group keeps its share to the end."""
    config = CurriculumConfig(curriculum=curriculum, hints=hints)
    built = build_curriculum(config)
    host = prepare(built, SimulationConfig(num_prompts=64, groups_per_step=8, seed=1))
    built.hints.solutions.examiners = [
        lambda row, solution, texts: ["answer" if "step e" in text else "" for text in texts]
    ]
    shares, agreed = [], host.rollout

    def rollout(proposal):
        shares.append(proposal.share_P)
        return agreed(proposal)

    host.rollout = rollout
    for _ in range(4):
        batch = collect(built, host, 8, NoLedger())
        assert set(batch.groups.share_P.round(3)) <= {0.0, 0.101, 0.203, 0.304, 0.406}
        host.learn(batch)
    assert max(share.max() for share in shares) > 0 or hints == "predicted"


@pytest.mark.parametrize("hints", list(RULES))
def test_resuming_equals_never_having_stopped(hints):
    """State, shares and the simulated policy after six steps are those of three and three."""

    def steps(curriculum, host, num):
        return [collect(curriculum, host, 8, NoLedger()).groups for _ in range(num)]

    def fresh():
        curriculum = build_curriculum(CurriculumConfig(curriculum="mopps", hints=hints, curriculum_seed=3))
        return curriculum, prepare(curriculum, SimulationConfig(num_prompts=64, groups_per_step=8))

    straight, host = fresh()
    steps(straight, host, 3)
    stopped, coins = deepcopy(straight.state_dict()), host._coins.bit_generator.state
    lengths = host._lengths.bit_generator.state
    rest = steps(straight, host, 3)

    resumed, host = fresh()
    resumed.load_state_dict(stopped)
    host._coins.bit_generator.state, host._lengths.bit_generator.state = coins, lengths
    again = steps(resumed, host, 3)
    for one, other in zip(rest, again, strict=True):
        assert (one.index_P == other.index_P).all() and (one.share_P == other.share_P).all()
        assert (one.signal_PG == other.signal_PG).all()
    assert resumed.hints.metrics() == pytest.approx(straight.hints.metrics(), nan_ok=True)


def test_hints_bring_prompts_that_are_never_solved_within_reach():
    """A pool at logit -8, where nearly all tries fail: unaided nothing is ever learned, with a hint it is."""

    def final(hints):
        curriculum = build_curriculum(CurriculumConfig(curriculum="uniform", hints=hints))
        host = prepare(
            curriculum, SimulationConfig(num_prompts=64, groups_per_step=16, num_steps=100, learning_rate=0.2)
        )
        host.difficulty_N[:] = 8.0
        return run(curriculum, host)[-1]["accuracy"]

    assert final(None) < 0.0004
    assert final("predicted") > 0.001 and final("adaback") > 0.001


def test_bad_settings_are_named(caplog):
    """One line each that names the field and its value."""
    cases = {
        "hints ('oracle') must be one of adaback, guided, predicted": {"hints": "oracle"},
        "hint_place ('system') must be one of prefix, prompt": {"hints": "adaback", "hint_place": "system"},
        "hint_price (2.0) must lie in 0 to 1": {"hints": "predicted", "hint_price": 2.0},
        "hint_period (1) must be at least 2": {"hints": "guided", "hint_period": 1},
        "hint_loss (True) trains on the beginning": {
            "hints": "guided",
            "hint_place": "prompt",
            "hint_loss": True,
        },
    }
    for message, settings in cases.items():
        with pytest.raises(ValueError) as error:
            build_curriculum(CurriculumConfig(**settings))
        assert str(error.value).startswith(message)
    with caplog.at_level(logging.WARNING):
        build_curriculum(CurriculumConfig(hints="adaback", hint_price=0.5))
    assert "hints='adaback' does not use hint_price; it is ignored" in caplog.text
