"""Guards the stream's way past prompts that cannot be rolled out: as if the pool did not have them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlkit.prompts.pool import PromptPool

NONE = np.empty(0, dtype=np.int64)


def pool_of(num, bad, asked=None):
    pool = PromptPool([{"prompt": str(i)} for i in range(num)], np.arange(num, dtype=np.uint64), seed=3)

    def examine(index_N):
        if asked is not None:
            asked.extend(index_N.tolist())
        return ~np.isin(index_N, bad)

    pool.usable.examine = examine
    return pool


@given(
    st.integers(1, 30),
    st.sets(st.integers(0, 29)),
    st.lists(st.tuples(st.integers(1, 35), st.sets(st.integers(0, 29))), max_size=6),
    st.booleans(),
)
def test_a_draw_holds_what_there_is_of_good_prompts(num, bad, draws, admitting):
    pool, bad = pool_of(num, sorted(bad)), {index for index in bad if index < num}
    rng = np.random.default_rng(0)
    for wanted, exclude in draws:
        exclude = np.array(sorted(index for index in exclude - bad if index < num), dtype=np.int64)
        if admitting:
            drawn, passed, _ = pool.draw_admitted(wanted, exclude, lambda index: np.ones(len(index)), rng)
            assert len(passed) == 0
        else:
            drawn = pool.draw(wanted, exclude)
        assert len(set(drawn.tolist())) == len(drawn) == min(wanted, num - len(bad) - len(exclude))
        assert not set(drawn.tolist()) & (bad | set(exclude.tolist()))


def test_a_pass_goes_over_every_good_prompt_once_in_the_same_order():
    bad = [2, 3, 11]
    plain = PromptPool([{"prompt": str(i)} for i in range(12)], np.arange(12, dtype=np.uint64), seed=3)
    order = [index for index in plain.draw(12, NONE).tolist() if index not in bad]
    assert pool_of(12, bad).draw(9, NONE).tolist() == order


def test_each_prompt_is_examined_once():
    asked = []
    pool = pool_of(12, [2, 3], asked)
    for _ in range(8):
        pool.draw(5, NONE)
    assert sorted(asked) == list(range(12))
    assert pool.metrics()["pool/unusable"] == 2


def test_a_resumed_stream_goes_on_where_it_was():
    bad = [0, 5, 7, 8]
    one, asked = pool_of(12, bad), []
    one.draw(7, NONE)
    other = pool_of(12, bad, asked)
    other.load_state_dict(one.state_dict())
    known = set(one.usable.bad.tolist())
    assert known and other.metrics() == one.metrics()
    for _ in range(5):
        assert other.draw(6, NONE).tolist() == one.draw(6, NONE).tolist()
    assert not set(asked) & known


def test_with_changed_data_the_prompts_known_to_both_keep_their_verdict():
    one = pool_of(6, [1, 4])
    one.draw(4, NONE)
    state = one.state_dict()
    asked = []
    other = PromptPool([{"prompt": str(i)} for i in range(4)], np.array([4, 2, 1, 9], dtype=np.uint64))
    other.usable.examine = lambda index_N: asked.extend(index_N.tolist()) or np.ones(len(index_N), dtype=bool)
    other.load_state_dict(state, allow_changed=True)
    expected = {position for position, key in enumerate((4, 2, 1, 9)) if key in state["unusable"]}
    assert set(other.usable.bad.tolist()) == expected and expected
    assert set(other.draw(4, NONE).tolist()) == {0, 1, 2, 3} - expected
