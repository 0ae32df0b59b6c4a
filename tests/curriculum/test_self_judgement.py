r"""Guards self-judgement: what is parsed, the reward by hand, the memory, the baseline, whom it teaches."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.self_judgement import (
    SelfJudgement,
    judgement_prompt,
    judgement_reward,
    parse_variance,
)
from rlkit.curriculum.scale import Scale
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig, simulate
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.types import Groups, Prediction

NAN = math.nan


class Judge:
    """A host whose judgements are written down: answers[i] is that of prompt i."""

    def __init__(self, answers, signal_NG=None):
        self.answers, self.signal_NG = answers, signal_NG
        self.read, self.lessons, self.rolled_out = [], [], []

    def judge(self, index_N, context_N, max_tokens):
        self.read.append((index_N.tolist(), list(context_N), max_tokens))
        return [self.answers[index] for index in index_N.tolist()]

    def teach(self, index_P, advantage_P, weight):
        self.lessons.append((index_P.tolist(), advantage_P.tolist(), weight))

    def whole(self, num, count):
        return num

    def agree(self, proposal):
        return proposal

    def rollout(self, proposal):
        self.rolled_out.append(proposal.index_P.tolist())
        return graded(proposal.index_P, self.signal_NG[proposal.index_P])


def graded(index, signal_PG) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    return Groups(np.asarray(index), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def bound(answers, prompts=None, **numbers) -> tuple[SelfJudgement, Judge]:
    judge = Judge(answers)
    estimator = SelfJudgement(**numbers)
    rows = [{"prompt": prompt} for prompt in prompts or [f"task {i}" for i in range(len(answers))]]
    estimator.bind(make_pool(rows), judge)
    return estimator, judge


def a_round(estimator, index, signal_PG, candidates=None) -> Prediction:
    prediction = estimator.predict(np.asarray(index if candidates is None else candidates))
    estimator.observe(graded(index, signal_PG), Prediction.neutral(len(index)))
    return prediction


@pytest.mark.parametrize(
    ("judgement", "variance"),
    [
        (r"\boxed{0.2}", 0.2),
        (r"Half of them fail, so \boxed{0.25}.", 0.25),
        (r"\boxed{0}", 0.0),
        (r"\boxed{ .125 }", 0.125),
        (r"\boxed {1e-1}", 0.1),
        (r"first \boxed{0.1}, then \boxed{0.2}", 0.2),
        (r"\boxed{0.1} and \boxed{high}", NAN),
        (r"\boxed{0.1} and \boxed{\frac{1}{8}}", NAN),
        (r"\boxed{0.1} and \boxed{0.2", NAN),
        (r"\boxed{0.26}", NAN),
        (r"\boxed{-0.1}", NAN),
        (r"\boxed{nan}", NAN),
        (r"\boxed{inf}", NAN),
        (r"\boxed{}", NAN),
        ("0.2", NAN),
        ("{0.2}", NAN),
        ("", NAN),
    ],
)
def test_parsing(judgement, variance):
    np.testing.assert_equal(parse_variance(judgement), variance)


@given(st.floats(0, 0.25), st.text(alphabet="ab01.{}\\", max_size=20))
def test_what_is_written_is_parsed_whatever_stands_before_it(variance, before):
    assert parse_variance(f"{before} \\boxed{{{variance!r}}}") == variance


def test_reward_by_hand():
    predicted, variance = np.array([0.1, 0.25, 0.0, 0.2, NAN]), np.array([0.2, 0.0, 0.25, 0.2, 0.2])
    np.testing.assert_allclose(judgement_reward(predicted, variance), [0.84, 0.0, 0.0, 1.0, 0.0])


@given(st.floats(0, 0.25), st.floats(0, 0.25))
def test_reward_lies_in_0_to_1_and_is_best_at_the_truth(predicted, variance):
    reward, best = judgement_reward(np.array([predicted, variance]), np.array([variance, variance]))
    assert 0 <= reward <= best == 1


def test_predicts_what_was_judged_and_the_neutral_variance_otherwise():
    estimator, judge = bound([r"\boxed{0.1}", "no idea", r"\boxed{0.5}", r"\boxed{0.2}"], max_tokens=17)
    prediction = estimator.predict(np.array([3, 0, 1, 2]))
    np.testing.assert_array_equal(prediction.variance_N, [0.2, 0.1, 0.25, 0.25])
    np.testing.assert_array_equal(prediction.mean_N, 0.5)
    assert estimator.metrics() == {"self_judgement/unparseable": 0.5}
    assert judge.read[0][0] == [3, 0, 1, 2] and judge.read[0][2] == 17


def test_an_own_scale():
    """A signal of -1 to 1: its variance is four times that of its share of the range."""
    estimator, judge = bound([r"\boxed{0.1}", "?"], scale=Scale(-1.0, 1.0))
    prediction = a_round(estimator, [0, 1], [[-1, 1], [-1, -1]])
    np.testing.assert_allclose(prediction.variance_N, [0.4, 1.0])
    np.testing.assert_allclose(prediction.mean_N, 0.0)
    # Rewards 1 - (4 * 0.15)^2 = 0.64 and 0; their mean is the first baseline.
    np.testing.assert_allclose(judge.lessons[0][1], [0.32, -0.32])


def test_lessons_and_the_moving_baseline_by_hand():
    estimator, judge = bound([r"\boxed{0.25}", r"\boxed{0.1}", "?"], weight=0.5)
    a_round(estimator, [0, 1], [[0, 1], [1, 1]])  # rewards 1 and 1 - 0.16: the baseline is their mean
    assert judge.lessons[0][0] == [0, 1] and judge.lessons[0][2] == 0.5
    np.testing.assert_allclose(judge.lessons[0][1], [0.08, -0.08])
    assert estimator.metrics()["self_judgement/baseline"] == pytest.approx(0.92)

    a_round(estimator, [2, 0], [[0, 1], [1, 1]])  # rewards 0, unparseable, and 0
    np.testing.assert_allclose(judge.lessons[1][1], [-0.92, -0.92])
    a_round(estimator, [1], [[0, 0]])
    np.testing.assert_allclose(judge.lessons[2][1], [0.84 - 0.9 * 0.92])
    assert estimator.metrics() == {
        "self_judgement/unparseable": 0.0,
        "self_judgement/error": pytest.approx(0.1),
        "self_judgement/reward": pytest.approx(0.84),
        "self_judgement/baseline": pytest.approx(0.9 * 0.9 * 0.92 + 0.1 * 0.84),
    }


def test_no_lesson_of_groups_that_could_not_be_scored():
    estimator, judge = bound([r"\boxed{0.2}"] * 3)
    a_round(estimator, [0, 1, 2], [[NAN, NAN], [0, NAN], [0, 1]])
    assert judge.lessons[0][0] == [1, 2]
    a_round(estimator, [0], [[NAN, NAN]])
    assert len(judge.lessons) == 1


def test_no_lesson_of_groups_that_were_judged_in_an_earlier_round():
    estimator, judge = bound([r"\boxed{0.2}"] * 3)
    a_round(estimator, [0, 2], [[0, 1], [0, 1]], candidates=[1, 2])
    assert judge.lessons[0][0] == [2]


def test_the_memory_is_the_k_latest_in_the_order_of_the_stream():
    estimator, judge = bound(["?"] * 6, memory=3)
    estimator.predict(np.array([5]))
    assert "Measured" not in judge.read[-1][1][0], "nothing is known yet"
    # The stream's order is 4, 0, 2; the ranking, in which groups come back, is 2, 4.
    a_round(estimator, [2, 4], [[0, 1], [1, 1]], candidates=[4, 0, 2])
    a_round(estimator, [1, 3], [[1, 1, 1, 0], [NAN] * 4])
    estimator.predict(np.array([5]))
    assert judge.read[-1][1] == [
        judgement_prompt([("task 4", 0.0), ("task 2", 0.25), ("task 1", 0.1875)], "task 5")
    ]
    a_round(estimator, [0], [[0, 0]])
    estimator.predict(np.array([5]))
    assert judge.read[-1][1] == [
        judgement_prompt([("task 2", 0.25), ("task 1", 0.1875), ("task 0", 0.0)], "task 5")
    ]


def test_what_the_judge_reads():
    text = judgement_prompt([("1+1?", 0.25), ("2+2?", 0.0)], "3+3?")
    places = [text.index(part) for part in ("1+1?", r"\boxed{0.2500}", "2+2?", r"\boxed{0.0000}", "3+3?")]
    assert places == sorted(places)
    assert "Do not solve" in text and text.endswith("Judgement:")


def test_messages_are_read_as_their_text():
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
    estimator, judge = bound(["?"], prompts=[message], memory=0)
    estimator.predict(np.array([0]))
    assert judge.read[0][1] == [judgement_prompt([], "What is this?")]


def test_without_memory_the_context_is_the_candidate_alone():
    estimator, judge = bound(["?", "?"], memory=0)
    a_round(estimator, [0], [[0, 1]])
    estimator.predict(np.array([1]))
    assert judge.read[-1][1] == [judgement_prompt([], "task 1")]


def test_the_greatest_judged_variance_is_rolled_out():
    """Unparseable judgements rank with the greatest; ties fall in the order of the stream."""
    answers = [rf"\boxed{{{number / 100}}}" for number in range(8)]
    answers[3] = "no number"
    judge = Judge(answers, np.tile([0.0, 1.0], (8, 1)))
    curriculum = build_curriculum("metis")
    curriculum.bind(make_pool([{"prompt": f"task {i}"} for i in range(8)]), judge, 2, 2)
    collect(curriculum, judge, 2, NoLedger())
    assert judge.rolled_out == [[3, 7]]
    assert judge.read[0][2] == 256 and judge.lessons[0][2] == 0.01


def test_a_host_that_cannot_ask_its_policy_is_told():
    with pytest.raises(ValueError, match=r"the host \(object\) has no `judge` and `teach`.*CurriculumGRPO"):
        SelfJudgement().bind(make_pool([{"prompt": "p"}]), object())


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=2, max_size=2), max_size=6))
def test_state_round_trips(tmp_path_factory, signal_PG):
    answers = [r"\boxed{0.2}", "?"] * 3
    first, judge = bound(answers)
    if signal_PG:
        a_round(first, list(range(len(signal_PG))), signal_PG)
    folder = tmp_path_factory.mktemp("state")
    save_state(folder, "estimator", first.state_dict())
    second, other = bound(answers)
    second.load_state_dict(load_state(folder, "estimator"))
    assert second.metrics() == first.metrics()
    for estimator in (first, second):
        a_round(estimator, [4, 1], [[0, 1], [1, 1]])
    assert other.read[-1] == judge.read[-1] and other.lessons[-1] == judge.lessons[-1]
    assert second.state_dict() == first.state_dict() and second.metrics() == first.metrics()


def test_the_simulated_judge_is_near_the_truth_and_now_and_then_unparseable():
    host = SimulatedHost(SimulationConfig(num_prompts=20_000))
    p_N = host.truth(np.arange(20_000))
    variance_N = np.array([parse_variance(text) for text in host.judge(np.arange(20_000), [], 1)])
    assert np.isnan(variance_N).mean() == pytest.approx(0.003, abs=0.0015)
    inside = (p_N * (1 - p_N) > 0.1) & (p_N * (1 - p_N) < 0.15) & ~np.isnan(variance_N)
    error = (variance_N - p_N * (1 - p_N))[inside]
    assert error.mean() == pytest.approx(0, abs=0.01) and error.std() == pytest.approx(0.05, abs=0.01)


def test_a_good_judge_saves_rollouts_of_uninformative_prompts():
    config = SimulationConfig(num_prompts=600, num_steps=25, groups_per_step=16, seed=2)
    runs = {name: simulate(build_curriculum(name), config) for name in ("uniform", "metis")}
    ratio = {name: np.mean([row["effective_ratio"] for row in run]) for name, run in runs.items()}
    assert ratio["uniform"] < 0.6 < 0.8 < ratio["metis"]
    assert 0.7 < runs["metis"][-1]["self_judgement/reward"] < 1
