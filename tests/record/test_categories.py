"""Guards what counts as a starved or a failed category, by hand, and that state goes on to the bit."""

import numpy as np

from rlkit.record.categories import LEAST_WINDOW, WINDOW, CategoryWatch


def watched(counts, generations, signal=1.0):
    watch = CategoryWatch(counts)
    for categories in generations:
        watch.rolled_out(categories, np.full((len(categories), 8), signal))
    return watch


def test_what_counts_as_starved():
    both = {"a": 1, "b": 1}
    assert watched(both, [["a"] * 4] * (LEAST_WINDOW - 1)).starved() is None
    assert watched(both, [["a"] * 4] * LEAST_WINDOW).starved() == ["b"]
    assert watched(both, [["a"] * 3] * LEAST_WINDOW).starved() == [], "15 were due: too few to tell"
    assert watched(both, [["a"] * 4] * 9 + [["a"] * 3 + ["b"]]).starved() == ["b"], "1 of 20 is a twentieth"
    assert watched(both, [["a"] * 4] * 9 + [["a"] * 2 + ["b"] * 2]).starved() == []
    assert watched({"a": 9, "b": 1}, [["a"] * 4] * WINDOW).starved() == ["b"], "20 of 200 were due"
    assert watched({"a": 11, "b": 1}, [["a"] * 4] * WINDOW).starved() == []


def fed(watch, steps, means, least=0.0, most=1.0):
    """`steps` generations of one group a category, binary between `least` and `most`."""
    for _ in range(steps):
        right_PG = np.arange(16) < 16 * np.array(list(means.values()))[:, None]
        watch.rolled_out(list(means), np.where(right_PG, most, least))
    return watch


def test_a_category_fails_where_it_earned_before_and_others_still_do():
    for least, most in ((0.0, 1.0), (-1.0, 1.0), (0.0, 100.0)):
        watch = fed(CategoryWatch({"a": 1, "b": 1}), 20, {"a": 0.5, "b": 0.25}, least, most)
        assert watch.failed() == []
        # 8 groups of 16 at a rate of a quarter: 32 successes were due.
        assert fed(watch, 7, {"a": 0.5, "b": 0.0}, least, most).failed() == []
        assert fed(watch, 1, {"a": 0.5, "b": 0.0}, least, most).failed() == ["b"]
        assert fed(watch, 200, {"a": 0.5, "b": 0.0}, least, most).failed() == ["b"], "as long as it lasts"
        assert fed(watch, 20, {"a": 0.5, "b": 0.25}, least, most).failed() == []


def test_what_falls_everywhere_and_what_never_earned_is_no_failed_category():
    watch = fed(CategoryWatch({"a": 1, "b": 1}), 20, {"a": 0.5, "b": 0.5})
    assert fed(watch, 70, {"a": 0.0, "b": 0.0}).failed() == []
    hard = fed(CategoryWatch({"a": 1, "b": 1}), 20, {"a": 0.5, "b": 1 / 16})
    assert fed(hard, 16, {"a": 0.5, "b": 0.0}).failed() == [], "16 successes were due: too few to tell"


def test_completions_without_a_signal_do_not_count():
    watch = fed(CategoryWatch({"a": 1, "b": 1}), 20, {"a": 0.5, "b": 0.5})
    for _ in range(20):
        watch.rolled_out(["a", "b"], np.stack([np.arange(16) % 2.0, np.full(16, np.nan)]))
    assert watch.failed() == []


def test_state_round_trip():
    one = fed(CategoryWatch({"a": 1, "b": 1}), 90, {"a": 0.5, "b": 0.25})
    other = CategoryWatch({"a": 1, "b": 1})
    other.load_state_dict(one.state_dict())
    for step in range(30):
        for watch in (one, other):
            fed(watch, 1, {"a": 0.5, "b": 0.0 if step < 15 else 0.5})
        assert one.state_dict() == other.state_dict()
