"""Guards the guards: each alarm after its patience, once an episode, and the same after a resume."""

import numpy as np
import pytest

from rlkit.curriculum.presets import PRESETS
from rlkit.record.episodes import CALM_STEPS, Episodes
from rlkit.record.guards import FIRST_STEPS, Guards

WELL = {"effective_ratio": 0.6, "admission/forced": 0.0, "entropy": 1.0, "completions/clipped_ratio": 0.1}
SICK = {
    "effective_ratio": (20, lambda step: {"effective_ratio": 0.04}),
    "pool_drained": (5, lambda step: {"admission/forced": 3.0 * (step + 1)}),
    "entropy": (20, lambda step: {"entropy": 0.09}),
    "truncated": (5, lambda step: {"completions/clipped_ratio": 0.51}),
}


def warnings(caplog):
    return [record for record in caplog.records if record.name == "rlkit.record.guards"]


def healthy(steps=FIRST_STEPS):
    guards = Guards()
    for _ in range(steps):
        assert not any(guards.observe(WELL).values())
    return guards


@pytest.mark.parametrize("name", SICK)
def test_alarm_after_its_patience_and_one_warning_an_episode(name, caplog):
    patience, sign = SICK[name]
    guards = healthy()
    alarms = [guards.observe({**WELL, **sign(step)})[f"guards/{name}"] for step in range(patience + 7)]
    assert alarms == [0.0] * (patience - 1) + [1.0] * 8
    assert len(warnings(caplog)) == 1 and "; " in warnings(caplog)[0].getMessage()
    last = sign(patience + 6)  # running totals stay where they are
    calm = {**WELL, "admission/forced": last.get("admission/forced", 0.0)}
    assert guards.observe(calm)[f"guards/{name}"] == 0
    for _ in range(CALM_STEPS):
        guards.observe(calm)
    for step in range(patience):
        guards.observe({**WELL, **sign(step + 100)})
    assert len(warnings(caplog)) == 2, "another episode, another warning"


def test_an_alarm_that_flickers_for_3000_steps_is_one_warning(caplog):
    guards, forced, alarms = healthy(), 0.0, 0
    for step in range(3000):
        forced += 1.0 if step % 15 < 7 else 0.0
        alarms += guards.observe({**WELL, "admission/forced": forced})["guards/pool_drained"]
    assert alarms == 600 and len(warnings(caplog)) == 1


def test_what_is_news():
    episodes = Episodes()
    steps = [5, 6, 40, 140, 241, 242]
    assert [step for step in steps if episodes.is_news("sign", step)] == [5, 241]
    assert episodes.is_news("another", 242)
    again = Episodes()
    again.load_state_dict(episodes.state_dict())
    assert not again.is_news("sign", 342) and again.is_news("sign", 443)


def advice(caplog, name, in_use):
    """The text of an alarm's warning in a run that uses these."""
    caplog.clear()
    guards = Guards({"a": 1, "b": 1}, in_use)
    for _ in range(FIRST_STEPS):
        guards.observe(WELL)
    patience, sign = SICK[name]
    for step in range(patience):
        guards.observe({**WELL, **sign(step)})
    return warnings(caplog)[0].getMessage()


@pytest.mark.parametrize("preset", PRESETS)
def test_advice_never_names_the_preset_in_use(preset, caplog):
    for name in SICK:
        words = advice(caplog, name, {preset}).replace(",", " ").replace("(", " ").replace(")", " ").split()
        assert preset not in words or preset == "uniform"


def test_advice_leaves_out_what_the_run_does_already(caplog):
    assert "filters (dapo)" in advice(caplog, "effective_ratio", {"uniform"})
    ratio = advice(caplog, "effective_ratio", {"odf"})
    assert "filters" not in ratio and "take one that predicts (pcl, rlkit)" in ratio
    assert "predicts" not in advice(caplog, "effective_ratio", {"rlkit"})
    assert "(beta)" in advice(caplog, "entropy", {"uniform"})
    assert "(beta)" not in advice(caplog, "entropy", {"uniform", "beta"})
    drained = advice(caplog, "pool_drained", {"retire"})
    assert "widen mastered" in drained and "repeat_gap" not in drained


@pytest.mark.parametrize("name", SICK)
def test_one_good_step_ends_the_patience(name):
    patience, sign = SICK[name]
    guards = healthy()
    for step in range(patience - 1):
        guards.observe({**WELL, **sign(step)})
    guards.observe({**WELL, "admission/forced": 3.0 * (patience - 1) if name == "pool_drained" else 0.0})
    assert guards.observe({**WELL, **sign(patience)})[f"guards/{name}"] == 0.0


def test_steps_without_a_number_are_no_news():
    guards = healthy()
    for step in range(40):
        row = {"effective_ratio": 0.0} if step % 2 else {"effective_ratio": float("nan")}
        alarms = guards.observe(row if step % 4 else {})
        assert alarms["guards/effective_ratio"] == float(step >= 39), step


def test_a_healthy_bound_is_no_alarm():
    guards = healthy()
    bound = {"effective_ratio": 0.05, "entropy": 0.1, "completions/clipped_ratio": 0.5}
    assert not any(max(guards.observe({**WELL, **bound}).values()) for _ in range(30))


def groups(*means):
    """A group of 8 binary signals of each mean."""
    return np.array([np.arange(8) < round(8 * mean) for mean in means], dtype=float)


def test_a_starved_category_is_named(caplog):
    guards = Guards({"algebra": 300, "geometry": 100, "rare": 1})
    for step in range(21):
        guards.rolled_out(["algebra"] * 4 + ["geometry"] * (step == 0), groups(*[0.5] * (4 + (step == 0))))
        alarms = guards.observe(WELL)
        # Geometry is due a quarter of the groups: of 81 groups 20.25, of which it had one.
        assert alarms["guards/category_starved"] == float(step >= 19), step
    assert "hardly rolled out (geometry); " in caplog.text


def test_a_failed_category_is_named_as_soon_as_it_is_certain(caplog):
    guards = Guards({"algebra": 1, "geometry": 1})
    alarms = []
    for step in range(30):
        earned = 0.0 if 10 <= step < 20 else 0.5
        guards.rolled_out(["algebra", "geometry"] * 2, groups(0.5, earned, 0.5, earned))
        alarms.append(guards.observe(WELL)["guards/category_failed"])
    # 8 groups of 8 should have had 32 successes, and had none.
    assert alarms.index(1.0) == 13 and alarms[19] == 1.0 and alarms[-1] == 0.0
    assert len(warnings(caplog)) == 1
    assert "earned next to nothing of late, and the others go on as before (geometry); " in caplog.text


def test_a_restored_guard_goes_on_where_it_was():
    one, rows = Guards({"a": 1, "b": 1}), []
    for step in range(70):
        rows.append({**WELL, "effective_ratio": 0.0, "entropy": 1.0 if step < 30 else 0.01})
    history = []
    for step, row in enumerate(rows):
        if step == 33:
            other = Guards({"a": 1, "b": 1})
            other.load_state_dict(one.state_dict())
            one = other
        one.rolled_out(["a"] * 2, groups(0.5, 0.25))
        history.append(one.observe(row))
    straight = Guards({"a": 1, "b": 1})
    expected = []
    for row in rows:
        straight.rolled_out(["a"] * 2, groups(0.5, 0.25))
        expected.append(straight.observe(row))
    assert history == expected and expected[-1]["guards/entropy"] == 1.0
