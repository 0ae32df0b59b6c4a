"""Guards the watch over rewards that come apart: by hand, no matter the scale, and silent on noise."""

import numpy as np
import pytest

from rlkit.record.reward_watch import RewardWatch


def watched(judge, rule, steps=2, errors=3.0):
    watch = RewardWatch(["judge"], ["rule"], steps, errors)
    for step in range(len(judge)):
        watch.observe({"rewards/judge/mean": judge[step], "rewards/rule/mean": rule[step]})
    return watch.apart()


def test_by_hand():
    """1, 2 then 5, 6: a difference of 4 over sqrt((0.5 + 0.5) / 2) = 5.66 errors; the rule's is -5.66."""
    up, down = [1, 2, 5, 6], [6, 5, 2, 1]
    assert watched(up, down, errors=5.6) == ["judge up, rule down"]
    assert watched(up, down, errors=5.7) == []
    assert watched(down, up) == watched(up, up) == watched(down, down) == []
    assert watched([3, 3, 4, 4], [1, 1, 0, 0]) == ["judge up, rule down"], "no spread at all"
    assert watched([3, 3, 3, 3], [1, 1, 0, 0]) == []
    assert watched(up[:3], down[:3]) == [], "too few steps"


def test_steps_without_a_reward_are_no_news():
    nan = float("nan")
    assert watched([1, nan, 2, 5, nan, 6], [6, 5, nan, nan, 2, 1], errors=5.6) == ["judge up, rule down"]


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scale_plays_no_part_and_noise_is_silent(scale):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 400))
    watch = RewardWatch(["judge"], ["rule"], 20, 3.0)
    alarms = []
    for step in range(400):
        drift = max(step - 200, 0) * 0.05  # a twentieth of a step's noise a step
        judge, rule = scale * (noise[0, step] + drift), noise[1, step] - drift
        watch.observe({"rewards/judge/mean": judge, "rewards/rule/mean": rule})
        alarms.append(bool(watch.apart()))
    assert not any(alarms[:200]) and any(alarms[200:260])


def test_state():
    one = RewardWatch(["judge"], ["rule"], 2, 3.0)
    for value in range(3):
        one.observe({"rewards/judge/mean": value, "rewards/rule/mean": -value})
    other = RewardWatch(["judge"], ["rule"], 2, 3.0)
    other.load_state_dict(one.state_dict())
    for watch in (one, other):
        watch.observe({"rewards/judge/mean": 9.0, "rewards/rule/mean": -9.0})
    assert one.state_dict() == other.state_dict() and len(other.state_dict()["judge"]) == 4
