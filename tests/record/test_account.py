"""Guards that numbers of several generations are put together as of one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.record.account import Account, weighted_mean

PARTS = st.lists(
    st.lists(st.sampled_from([0.0, 0.25, 1.0]), max_size=5), min_size=1, max_size=5
)  # what each generation has the mean of


def test_sums_totals_states_and_means():
    account = Account()
    account.add(
        {"tokens/generated": 3, "rollouts/spent_total": 8, "effective_ratio": 0.5, "pool/pass": 0.1},
        {"effective_ratio": 1},
    )
    account.add(
        {"tokens/generated": 4, "rollouts/spent_total": 16, "effective_ratio": 1.0, "pool/pass": 0.2},
        {"effective_ratio": 3},
    )
    expected = {"tokens/generated": 7, "rollouts/spent_total": 16, "effective_ratio": 0.875, "pool/pass": 0.2}
    assert account.row == expected


@given(PARTS)
def test_a_mean_is_that_of_all_values_together(parts):
    account = Account()
    for values in parts:
        mean = sum(values) / len(values) if values else math.nan
        account.add({"signal/all": mean}, {"signal/all": len(values)})
        saved, account = account.state_dict(), Account()
        account.load_state_dict(saved)
    flat = [value for values in parts for value in values]
    if flat:
        assert account.row["signal/all"] == pytest.approx(sum(flat) / len(flat))
    else:
        assert math.isnan(account.row["signal/all"])


def test_weighted_mean():
    assert weighted_mean([1.0, math.nan, 4.0], [2, 7, 1]) == 2.0
    assert math.isnan(weighted_mean([], []))
