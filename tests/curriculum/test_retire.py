"""Guards retirement: who retires, who is looked at again, and that all return for the revision."""

import numpy as np
import pytest

from rlkit.curriculum.estimators.retire import Retire
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups, Prediction

EVERYTHING = np.arange(6)


def bound(**numbers) -> Retire:
    retire = Retire(**numbers)
    retire.bind(make_pool([{"prompt": f"p{i}"} for i in EVERYTHING]), None)
    return retire


def teach(retire, index, successes, num=10) -> None:
    signal_PG = (np.arange(num) < np.asarray(successes)[:, None]).astype(float)
    retire.observe(Groups(np.asarray(index), signal_PG, signal_PG, signal_PG), Prediction.neutral(len(index)))


def test_nine_of_ten_retire_and_the_rest_stay():
    retire = bound(mastered=0.9, floor=0.05)
    teach(retire, [0, 1, 2], [10, 9, 8])
    np.testing.assert_allclose(retire.admission(EVERYTHING), [0.05, 0.05, 1, 1, 1, 1])
    assert retire.metrics() == {"retire/retired": 2 / 6}


def test_the_mean_is_over_all_groups_so_far():
    retire = bound()
    teach(retire, [0, 1], [8, 10])
    teach(retire, [0, 1], [10, 7])
    np.testing.assert_allclose(retire.admission(EVERYTHING[:2]), [0.05, 1])  # 18 and 17 of 20
    assert retire.metrics()["retire/retired"] == 1 / 6


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_a_forgotten_prompt_comes_back_when_a_look_at_it_fails(floor):
    retire = bound(decay=0.0, floor=floor)
    teach(retire, [0], [10])
    assert retire.admission(EVERYTHING[:1]) == [floor]
    teach(retire, [0], [2])
    assert retire.admission(EVERYTHING[:1]) == [1.0]
    assert retire.metrics()["retire/retired"] == 0


def test_from_the_revision_pass_on_everybody_is_admitted():
    retire = bound(mastered=0.3, floor=0.0, decay=0.0, revision_pass=2)
    teach(retire, EVERYTHING, [10, 3, 2, 0, 4, 0])
    for passes, admitted in ((0, [0, 0, 1, 1, 0, 1]), (1, [0, 0, 1, 1, 0, 1]), (2, [1] * 6), (3, [1] * 6)):
        assert retire.pool.num_passes == passes
        np.testing.assert_array_equal(retire.admission(EVERYTHING), admitted)
        retire.pool.draw(6, np.empty(0, dtype=int))


def test_state_round_trips_with_its_count():
    first, second = bound(), bound()
    teach(first, [0, 3], [10, 9])
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(second.admission(EVERYTHING), first.admission(EVERYTHING))
    assert second.metrics() == first.metrics() == {"retire/retired": 2 / 6}
