"""Guards the length predictor: shrinkage by hand, state to the bit."""

import numpy as np

from rlkit.curriculum.estimators.lengths import Lengths
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups


def bound(num=4) -> Lengths:
    lengths = Lengths()
    lengths.bind(make_pool([{"prompt": f"p{i}"} for i in range(num)]))
    return lengths


def teach(lengths, index, length_PG) -> None:
    length_PG = np.asarray(length_PG)
    zeros = np.zeros(length_PG.shape)
    lengths.observe(Groups(np.asarray(index), zeros, zeros, length_PG))


def test_own_mean_shrunk_toward_the_running_mean_of_all():
    lengths = bound()
    np.testing.assert_array_equal(lengths.predict(np.arange(4)), 1)
    teach(lengths, [0, 1], [[10, 10, 10, 10], [30, 30, 30, 30]])
    # The mean of all is 20 and counts 4: prompt 0 has (4 * 20 + 40) / 8, prompt 2 was never seen.
    np.testing.assert_allclose(lengths.predict(np.arange(3)), [15, 25, 20])
    teach(lengths, [0], [[10, 10, 10, 10]])
    # The mean becomes 0.9 * 20 + 0.1 * 10 = 19; prompt 0 has (4 * 19 + 20 + 40) / (4 + 2 + 4).
    np.testing.assert_allclose(lengths.predict(np.arange(3)), [13.6, (4 * 19 + 120) / 8, 19])


def test_state_round_trip():
    first, second = bound(), bound()
    teach(first, [0, 3], [[7, 9], [2, 4]])
    second.load_state_dict(first.state_dict())
    for lengths in (first, second):
        teach(lengths, [3], [[5, 5]])
    np.testing.assert_array_equal(first.predict(np.arange(4)), second.predict(np.arange(4)))
