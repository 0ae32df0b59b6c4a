"""Guards the three pools: their bounds, weights and floor, by the latest group."""

import numpy as np
import pytest

from rlkit.curriculum.estimators.pools import EASY, HARD, NORMAL, UNSEEN, Pools
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups, Prediction

EVERYTHING = np.arange(6)


def taught(successes, **numbers) -> Pools:
    """Prompts 0, 1, ... with so many of 4 right; the others were never rolled out."""
    pools = Pools(**numbers)
    pools.bind(make_pool([{"prompt": f"p{i}"} for i in EVERYTHING]), None)
    teach(pools, np.arange(len(successes)), successes)
    return pools


def teach(pools, index, successes) -> None:
    signal_PG = (np.arange(4) < np.asarray(successes)[:, None]).astype(float)
    pools.observe(Groups(np.asarray(index), signal_PG, signal_PG, signal_PG), Prediction.neutral(len(index)))


def test_pools_and_weights():
    pools = taught([0, 1, 2, 3, 4])
    assert pools.pool_of(EVERYTHING).tolist() == [HARD, HARD, NORMAL, NORMAL, EASY, UNSEEN]
    np.testing.assert_allclose(pools.admission(EVERYTHING), [0.2, 0.2, 1, 1, 0.2, 1])
    assert pools.metrics() == {"pools/hard": 2 / 6, "pools/normal": 2 / 6, "pools/easy": 1 / 6}


def test_the_latest_group_decides():
    pools = taught([0, 4])
    teach(pools, [0, 1], [2, 0])
    assert pools.pool_of(EVERYTHING[:2]).tolist() == [NORMAL, HARD]
    assert pools.metrics() == {"pools/hard": 1 / 6, "pools/normal": 1 / 6, "pools/easy": 0}


@pytest.mark.parametrize(
    ("numbers", "admission"),
    [
        ({"hard_weight": 0.0, "easy_weight": 0.0}, [0.01, 1, 0.01]),
        ({"hard_weight": 2.0, "easy_weight": 0.5}, [1, 0.5, 0.25]),  # the greatest weight is always admitted
        ({"hard_weight": 0.0, "floor": 0.3}, [0.3, 1, 0.3]),
    ],
)
def test_weights_and_floor(numbers, admission):
    pools = taught([0, 2, 4], **numbers)
    np.testing.assert_allclose(pools.admission(EVERYTHING[:3]), admission)


def test_state_round_trips_with_its_counts():
    first, second = taught([0, 2, 4]), taught([])
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(second.pool_of(EVERYTHING), first.pool_of(EVERYTHING))
    assert second.metrics() == first.metrics()
