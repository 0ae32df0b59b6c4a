"""Guards the signal's range: an error at the first step, a count later, and what is clipped for whom."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.curriculum.scale import Scale
from rlkit.curriculum.signal_range import SignalRange
from rlkit.hosts.simulated.host import SimulationConfig, prepare
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups


def groups(*rows):
    signal_PG = np.array(rows, dtype=float)
    return Groups(np.arange(len(rows)), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def unit(needed=True, signal=None):
    return SignalRange(Scale(0.0, 1.0), needed, "pcl" if needed else "dapo", signal)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([-1.0, 1.0], ["from -1 to 1", "signal_min (0) to signal_max (1)", "signal_min=-1 and signal_max=1"]),
        ([0.0, 100.0], ["from 0 to 100", "set signal_min=0 and signal_max=100"]),
        ([0.5, 2.5, np.nan], ["from 0.5 to 2.5", "signal_max=2.5", "the weighted total", "curriculum='pcl'"]),
    ],
)
def test_the_first_signals_outside_are_an_error_that_names_the_setting(values, said):
    with pytest.raises(ValueError) as error:
        unit().checked(groups(values), step=0)
    for part in said:
        assert part in str(error.value)


def test_the_signal_is_named():
    with pytest.raises(ValueError, match="curriculum_signal='accuracy'"):
        unit(signal="accuracy").checked(groups([2.0]), step=0)


def test_the_first_step_is_the_first_in_which_anything_is_graded():
    watched = unit()
    watched.checked(groups([np.nan, np.nan]), step=0)
    watched.checked(groups([0.0, 1.0]), step=3)
    with pytest.raises(ValueError):
        watched.checked(groups([2.0]), step=3)


def test_later_it_is_clipped_counted_and_said_once(caplog):
    watched = unit()
    watched.checked(groups([0.0, 1.0]), step=0)
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        first = watched.checked(groups([-3.0, 0.5, np.nan], [1.0, 2.0, 7.0]), step=1)
        watched.checked(groups([2.0]), step=2)
    np.testing.assert_array_equal(first.signal_PG, [[0.0, 0.5, np.nan], [1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(first.reward_PG, [[-3.0, 0.5, np.nan], [1.0, 2.0, 7.0]])
    assert watched.metrics() == {"signal/out_of_range": 4.0}
    assert len(caplog.messages) == 1 and "signal/out_of_range counts them" in caplog.text


def test_a_preset_that_does_not_depend_on_the_range_is_warned_and_sees_all(caplog):
    watched = unit(needed=False)
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        for step in range(2):
            seen = watched.checked(groups([-1.0, 1.0]), step)
    np.testing.assert_array_equal(seen.signal_PG, [[-1.0, 1.0]])
    assert watched.metrics() == {"signal/out_of_range": 2.0}
    assert len(caplog.messages) == 1 and "curriculum='dapo' does not depend on the range" in caplog.text


def test_float32_sums_are_within():
    total = float(np.float32(0.1) + np.float32(0.2) + np.float32(0.7))
    assert unit().checked(groups([total, -1e-7]), step=0).signal_PG[0, 0] == total


def test_a_restored_range_is_past_its_first_step():
    one, other = unit(), unit()
    one.checked(groups([0.0]), step=0)
    one.checked(groups([5.0]), step=1)
    other.load_state_dict(one.state_dict())
    other.checked(groups([5.0]), step=2)
    assert other.metrics() == {"signal/out_of_range": 2.0}


class Hundredfold:
    """A simulated host whose rewards are 0 or 100."""

    def __init__(self, host):
        self.host = host

    def __getattr__(self, name):
        return getattr(self.host, name)

    def rollout(self, proposal):
        made = self.host.rollout(proposal)
        return replace(made, signal_PG=100 * made.signal_PG, reward_PG=100 * made.reward_PG)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_stops_or_warns_at_the_first_step(preset, caplog):
    curriculum = build_curriculum(CurriculumConfig(preset))
    host = Hundredfold(prepare(curriculum, SimulationConfig(num_prompts=400, groups_per_step=16)))
    if PRESETS[preset].ranged:
        with pytest.raises(ValueError, match=r"from 0 to 100, .*set signal_min=0 and signal_max=100"):
            collect(curriculum, host, 16, NoLedger())
        assert curriculum.step == 0
    else:
        with caplog.at_level(logging.WARNING, logger="rlkit"):
            collect(curriculum, host, 16, NoLedger())
        assert "set signal_min=0 and signal_max=100" in caplog.text
        assert curriculum.metrics()["signal/out_of_range"] > 0


@pytest.mark.parametrize("preset", [name for name in PRESETS if not PRESETS[name].ranged])
def test_a_preset_says_rightly_that_its_choice_does_not_depend_on_the_range(preset):
    def chosen(scaled, **settings):
        curriculum = build_curriculum(CurriculumConfig(preset, **settings))
        host = prepare(curriculum, SimulationConfig(num_prompts=400, groups_per_step=16))
        host = Hundredfold(host) if scaled else host
        return [collect(curriculum, host, 16, NoLedger()).groups.index_P for _ in range(6)]

    for one, other in zip(chosen(False), chosen(True), strict=True):
        np.testing.assert_array_equal(one, other)
