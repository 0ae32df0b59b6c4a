"""Guards VCRL's memory bank: running shares of variance, who is in it, who is recalled first."""

import numpy as np
import pytest

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.sources.banked import Bank
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.types import Groups

NUM = 6


def bank_of(**numbers) -> Bank:
    bank = Bank(**numbers)
    bank.bind(make_pool([{"prompt": f"p{i}"} for i in range(NUM)]))
    return bank


def learn(bank, rights) -> None:
    """Groups of 8, `rights` of them right, by prompt."""
    signal_PG = np.array([[1.0] * right + [0.0] * (8 - right) for right in rights.values()])
    groups = Groups(np.array(list(rights)), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))
    bank.observe(groups)


def recalled(bank, num=NUM, exclude=()) -> list[int]:
    return bank.recall(num, np.array(exclude, dtype=int)).tolist()


def test_priority_is_a_running_share_of_the_greatest_variance():
    bank = bank_of(momentum=0.9, floor=0.8)
    learn(bank, {0: 4})  # (16/56) / (16/56) = 1
    learn(bank, {0: 2})  # (12/56) / (16/56) = 0.75
    assert bank.state_dict()["priority_N"][0] == pytest.approx(0.9 * 1 + 0.1 * 0.75)
    assert np.isnan(bank.state_dict()["priority_N"][1:]).all()


def test_the_most_varied_come_first_and_the_flat_ones_never():
    bank = bank_of()
    learn(bank, {0: 0, 1: 3, 2: 4, 3: 8, 4: 1})
    assert recalled(bank) == [2, 1]
    assert recalled(bank, 1) == [2] and recalled(bank, exclude=[2]) == [1]
    for _ in range(3):  # 0.9^3 = 0.73 < 0.8
        learn(bank, {2: 8})
    assert recalled(bank) == [1]


def test_state_round_trips_with_its_members(tmp_path):
    bank, other = bank_of(), bank_of()
    learn(bank, {0: 4, 3: 3, 5: 1})
    save_state(tmp_path, "bank", bank.state_dict())
    other.load_state_dict(load_state(tmp_path, "bank"))
    np.testing.assert_equal(other.state_dict(), bank.state_dict())
    assert recalled(other) == recalled(bank) == [0, 3]


def test_vcrl_refills_from_its_bank_first():
    curriculum = build_curriculum("vcrl")
    curriculum.bind(make_pool([{"prompt": f"p{i}"} for i in range(40)]), None, 4)
    learn(curriculum.sources[-1].bank, {5: 4, 9: 4})
    first = curriculum.sources[-1].propose(4, np.array([], dtype=int)).index_P
    second = curriculum.sources[-1].propose(4, first).index_P
    expected = [index for index in (5, 9) if index not in first]
    assert second.tolist()[: len(expected)] == expected
    assert len(set(first.tolist()) | set(second.tolist())) == 8
