"""Guards the dealing of rows by length: nothing is lost, it never costs more, and small cases by hand."""

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlkit.hosts.trl.dealing import deal, dealt_rows


def test_loads_by_hand():
    """Greedy alone ends at 14 and 17; an exchange of 6 for 5 at 15 and 16."""
    load_N = np.array([9, 7, 6, 5, 4])
    held = deal(load_N, 2)
    assert sorted(load_N[positions].sum() for positions in held) == [15, 16]
    assert sorted(chain(*held)) == [0, 1, 2, 3, 4]


def test_rows_by_hand():
    """Two processes with two micro-batches of two rows each, prompts of 3."""
    completion_R = np.array([9, 1, 8, 2, 7, 3, 6, 4])
    dealt = dealt_rows(np.full(8, 3), completion_R, 2, 2)
    assert completion_R[dealt].tolist() == [[[9, 8], [2, 1]], [[7, 6], [4, 3]]]


def cost(prompt_R, completion_R, row_WPB):
    return sum(
        max(max(prompt_R[part]) + max(completion_R[part]) for part in turn) for turn in row_WPB.swapaxes(0, 1)
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.data())
def test_every_row_once_and_never_dearer(num_ranks, num_parts, rows, data):
    num = num_ranks * num_parts * rows
    lengths = st.lists(st.integers(0, 50), min_size=num, max_size=num)
    prompt_R, completion_R = np.array(data.draw(lengths)), np.array(data.draw(lengths))
    dealt = dealt_rows(prompt_R, completion_R, num_ranks, num_parts)
    as_is = np.arange(num).reshape(num_ranks, num_parts, rows)
    assert sorted(dealt.ravel()) == list(range(num))
    assert cost(prompt_R, completion_R, dealt) <= cost(prompt_R, completion_R, as_is)


def test_equal_lengths_stay_where_they_are():
    assert (dealt_rows(np.full(12, 2), np.full(12, 5), 2, 3).ravel() == np.arange(12)).all()


@given(st.lists(st.integers(0, 1000), min_size=5, max_size=40), st.integers(1, 5))
def test_shares_are_equal_and_near(loads, num_ranks):
    load_N = np.array(loads)
    held = deal(load_N, num_ranks)
    assert sorted(chain(*held)) == list(range(len(loads)))
    assert max(map(len, held)) <= -(-len(loads) // num_ranks)
