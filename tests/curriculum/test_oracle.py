"""Guards the oracle: where its success rates come from, and that wrong ones are told at the door."""

import numpy as np
import pytest

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.oracle import Oracle
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.pool import make_pool


class Blind:
    """A host that knows no success rates, as a real policy's."""

    def features(self, index_N):
        return np.zeros((len(index_N), 1), dtype=np.float32)

    def truth(self, index_N):
        return None


def rated(rates):
    return make_pool([{"prompt": f"p{i}", "pass_rate": rate} for i, rate in enumerate(rates)])


def test_the_data_sets_column():
    oracle = Oracle()
    oracle.bind(rated([0.0, 0.25, 1.0]), Blind())
    prediction = oracle.predict(np.array([2, 1]))
    np.testing.assert_array_equal(prediction.mean_N, [1.0, 0.25])
    np.testing.assert_array_equal(prediction.variance_N, [0.0, 0.1875])
    np.testing.assert_array_equal(prediction.error_N, [0.0, 0.0])


def test_the_host_goes_before_the_column_and_stays_up_to_date():
    host = SimulatedHost(SimulationConfig(num_prompts=3))
    oracle = Oracle()
    oracle.bind(rated([0.5, 0.5, 0.5]), host)
    before = oracle.predict(np.arange(3)).mean_N
    np.testing.assert_array_equal(before, host.truth(np.arange(3)))
    host.ability_C += 1
    assert (oracle.predict(np.arange(3)).mean_N > before).all()


def test_the_callers_function_goes_before_all():
    oracle = Oracle(lambda index_N: index_N / 10)
    oracle.bind(make_pool([{"prompt": "a"}]), Blind())
    np.testing.assert_array_equal(oracle.predict(np.array([3, 7])).mean_N, [0.3, 0.7])


def test_the_preset_hands_the_function_on():
    curriculum = build_curriculum("oracle", truth=lambda index_N: np.where(index_N == 5, 0.5, 0.01))
    curriculum.bind(make_pool([{"prompt": f"p{i}"} for i in range(8)]), Blind(), 2)
    assert curriculum.sources[-1].propose(2, np.empty(0, dtype=int)).index_P[0] == 5


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([0.5, 50.0], "must lie in 0 to 1, got 0.5 to 50.0; divide percentages by 100"),
        ([-0.1, 0.5], "must lie in 0 to 1, got -0.1 to 0.5"),
        ([0.5, None, None], "missing in 2 of 3 rows; drop those rows"),
    ],
)
def test_rates_that_cannot_be(rates, said):
    with pytest.raises(ValueError) as error:
        Oracle().bind(rated(rates), Blind())
    assert "`pass_rate`" in str(error.value) and said in str(error.value)


def test_no_rates_at_all():
    with pytest.raises(ValueError) as error:
        Oracle().bind(make_pool([{"prompt": "a"}]), Blind())
    assert "no `pass_rate` column" in str(error.value)
    assert "add one" in str(error.value) and "another preset" in str(error.value)
