"""Guards numbers that change in a run: every preset's, at their limits, all of a change or nothing."""

import copy

import pytest
from test_curriculum import GROUPS, bound, host_of, same, step

from rlkit.curriculum import PRESETS, Curriculum
from rlkit.curriculum.changes import changeable, changed, check_changes
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.presets import resolve_config
from rlkit.settings.config import CurriculumConfig
from rlkit.settings.limits import CHOICES


def config_of(name):
    return CurriculumConfig(name, curriculum_seed=11)


@pytest.mark.parametrize("name", PRESETS)
def test_a_number_set_to_what_it_is_changes_nothing(name):
    hosts = [host_of(), host_of()]
    plain, other = (bound(config_of(name), host) for host in hosts)
    for number in range(4):
        same(step(plain, hosts[0]), step(other, hosts[1]))
        if number == 1:
            other = changed(other, changeable(other.preset[0]))
    assert plain.metrics() == other.metrics()


@pytest.mark.parametrize("name", PRESETS)
def test_each_number_is_refused_or_the_run_goes_on_with_it(name):
    host = host_of(120)
    curriculum = bound(config_of(name), host)
    num_changed = 0
    for field in changeable(curriculum.preset[0]):
        for value in [0, 0.5, 3, 1e9, 1e-300, *CHOICES.get(field, ())]:
            try:
                curriculum = changed(curriculum, {field: value})
            except ValueError as reason:
                assert str(reason)
                continue
            assert changeable(curriculum.preset[0])[field] == value
            assert len(step(curriculum, host).chosen_B) == GROUPS
            num_changed += 1
    assert num_changed > 3


def test_a_change_shows_in_the_next_choice():
    host = host_of()
    curriculum = bound(config_of("pcl"), host)
    for _ in range(8):
        step(curriculum, host)
    low, high = (changed(copy.deepcopy(curriculum), {"target": target}) for target in (0.0, 1.0))
    means = [step(one, copy.deepcopy(host)).prediction.mean_N.mean() for one in (low, high)]
    assert means[0] < 0.3 < 0.7 < means[1]


def test_what_is_refused_is_told_in_words_and_changes_nothing():
    curriculum = bound(config_of("odf"), host_of())
    before = repr(curriculum.numbers())
    for numbers, words in (
        ({"band_low": 0.9}, "band_low (0.9) must not be above band_high (0.8)"),
        ({"band_high": 0.7, "band_low": float("nan")}, "band_low (nan) must be a number"),
        ({"max_rounds": 2.5}, "max_rounds (2.5) must be a whole number"),
        ({"max_rounds": True}, "max_rounds (True) must be a number"),
        ({"fill": "error"}, "would end this run"),
        ({"fill": 3}, "fill (3) must be a word"),
        ({"headroom": 1.0}, "headroom is no number of curriculum='odf' that can change; there are: alloc"),
        ({"value_hidden": 4}, "value_hidden is what a run begins with"),
        ({"allocation": "vip"}, "allocation shares out one round"),
    ):
        with pytest.raises(ValueError) as refused:
            changed(curriculum, numbers)
        assert words in str(refused.value)
    assert repr(curriculum.numbers()) == before
    both = check_changes(resolve_config("odf"), {"band_low": 0.85, "band_high": 0.9})
    assert (both.band_low, both.band_high) == (0.85, 0.9)


def test_parts_of_ones_own_have_no_numbers_to_change():
    mine = Curriculum(Neutral(), name="mine")
    with pytest.raises(ValueError, match="'mine' was put together by hand"):
        changed(mine, {"candidates": 2})
