"""Guards the pool: each prompt once a pass, stable keys, checks at the door, resumed statistics."""

import logging

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.prompts.pool import PromptPool, make_pool

NOTHING = np.empty(0, dtype=np.int64)


def numbered(num: int, seed: int = 0) -> PromptPool:
    return PromptPool([{"prompt": f"p{i}"} for i in range(num)], np.arange(num, dtype=np.uint64), seed)


@given(
    st.integers(1, 30),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 40), st.sets(st.integers(0, 29))), max_size=8),
)
def test_a_draw_is_distinct_avoids_exclude_and_is_as_large_as_it_can(num_prompts, seed, draws):
    pool = numbered(num_prompts, seed)
    for num, exclude in draws:
        exclude = {index for index in exclude if index < num_prompts}
        drawn = pool.draw(num, np.array(sorted(exclude), dtype=np.int64))
        assert len(drawn) == min(num, num_prompts - len(exclude))
        assert len(set(drawn.tolist())) == len(drawn)
        assert set(drawn.tolist()) <= set(range(num_prompts)) - exclude


@given(st.integers(1, 30), st.lists(st.integers(1, 10), min_size=1, max_size=30))
def test_every_prompt_comes_once_a_pass(num_prompts, sizes):
    pool = numbered(num_prompts)
    left = num_prompts
    seen: list[int] = []
    while left:
        drawn = pool.draw(min(sizes[len(seen) % len(sizes)], left), NOTHING)
        seen.extend(drawn.tolist())
        left -= len(drawn)
    assert sorted(seen) == list(range(num_prompts))
    assert pool.metrics()["pool/pass"] == 1.0


def test_a_draw_over_the_end_of_a_pass_takes_the_rest_and_then_others():
    pool = numbered(10)
    first = pool.draw(7, NOTHING)
    over = pool.draw(6, NOTHING)
    assert set(over[:3].tolist()) == set(range(10)) - set(first.tolist())
    assert set(over[3:].tolist()).isdisjoint(over[:3].tolist())


def test_passes_and_seeds_are_shuffled_apart():
    pool, other = numbered(50), numbered(50, seed=1)
    passes = [tuple(pool.draw(50, NOTHING)) for _ in range(3)]
    assert len({*passes, tuple(other.draw(50, NOTHING)), tuple(range(50))}) == 5


@settings(max_examples=50)
@given(st.integers(1, 20), st.lists(st.integers(1, 12), max_size=6), st.lists(st.integers(1, 12), max_size=6))
def test_a_restored_pool_draws_what_the_first_would_have(num_prompts, before, after):
    pool = numbered(num_prompts, seed=3)
    for num in before:
        pool.draw(num, NOTHING)
    restored = numbered(num_prompts, seed=99)
    restored.load_state_dict(pool.state_dict())
    for num in after:
        np.testing.assert_array_equal(restored.draw(num, NOTHING), pool.draw(num, NOTHING))


def test_statistics_and_metrics():
    pool = numbered(4)
    pool.observe(np.array([1, 2]), step=0)
    pool.observe(np.array([2]), step=5)
    np.testing.assert_array_equal(pool.visits_N, [0, 1, 2, 0])
    np.testing.assert_array_equal(pool.last_step_N, [-1, 0, 5, -1])
    shares = {"pool/coverage": 0.5, "pool/mean_visits": 1.5, "pool/pass": 0.0}
    assert pool.metrics() == {**shares, "pool/unusable": 0}


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=8))
def test_running_counts_are_those_of_the_arrays(rounds):
    pool = numbered(10)
    for step, index in enumerate(rounds):
        pool.observe(np.array(index), step)
    restored = numbered(10)
    restored.load_state_dict(pool.state_dict())
    seen = pool.visits_N > 0
    for metrics in (pool.metrics(), restored.metrics()):
        assert metrics["pool/coverage"] == pytest.approx(seen.mean())
        assert metrics["pool/mean_visits"] == pytest.approx(pool.visits_N.sum() / seen.sum())


def test_metrics_of_an_untouched_pool_are_zero():
    assert set(numbered(3).metrics().values()) == {0.0}


@pytest.mark.parametrize("make", [list, Dataset.from_list])
def test_duplicates_are_kept_once_and_counted(make, caplog):
    rows = [{"prompt": text, "answer": ord(text)} for text in ["a", "b", "a", "a", "c"]]
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        pool = make_pool(make(rows))
    assert [row["answer"] for row in pool.take(np.arange(len(pool)))] == [97, 98, 99]
    assert caplog.messages == ["2 of 5 rows are the same as others in every column; each is kept once"]


@pytest.mark.parametrize("make", [list, Dataset.from_list])
@pytest.mark.parametrize("column", ["seed", "answer", "tests"])
def test_rows_that_differ_in_another_column_are_prompts_of_their_own(make, column, caplog):
    values = {"seed": range(32), "answer": map(str, range(32)), "tests": ([str(i)] for i in range(32))}
    pool = make_pool(make([{"prompt": "Play.", column: value} for value in values[column]]))
    assert len(pool) == len(set(pool.key_N.tolist())) == 32
    pool.observe(np.array([3]), step=0)
    changed = make_pool(make([pool.take(np.array([i]))[0] for i in (5, 3)]))
    with pytest.raises(ValueError, match="had 32 prompts, now there are 2, of which 0 are new, 30 are gone"):
        changed.load_state_dict(pool.state_dict())
    changed.load_state_dict(pool.state_dict(), allow_changed=True)
    np.testing.assert_array_equal(changed.visits_N, [0, 1])
    assert not caplog.messages


def test_rows_of_a_transform_are_told_apart_by_what_it_is_given():
    data = Dataset.from_list([{"prompt": "a", "seed": seed} for seed in (0, 1, 0)])
    pool = make_pool(
        data.with_transform(lambda batch: {"prompt": [text.upper() for text in batch["prompt"]]})
    )
    assert [row["prompt"] for row in pool.take(np.arange(len(pool)))] == ["A", "A"]


def test_no_duplicates_no_warning(caplog):
    assert len(make_pool([{"prompt": "a"}, {"prompt": "b"}])) == 2
    assert not caplog.messages


@pytest.mark.parametrize("make", [list, Dataset.from_list])
def test_columns(make):
    rows = [{"prompt": "a", "pass_rate": 0.25, "category": "x"}, {"prompt": "b", "pass_rate": None}]
    pool = make_pool(make([*rows, rows[0], {"prompt": "c", "pass_rate": 1.0, "category": "x"}]))
    np.testing.assert_array_equal(pool.column("pass_rate").astype(float), [0.25, np.nan, 1.0])
    assert pool.column("difficulty") is None
    pool = make_pool(make([{"prompt": text, "category": kind} for text, kind in ("ax", "bx", "cy")]))
    assert pool.column("category").tolist() == ["x", "x", "y"]


@pytest.mark.parametrize("make", [list, Dataset.from_list])
def test_take_gives_the_rows_asked_for_in_that_order(make):
    pool = make_pool(make([{"prompt": text, "answer": i} for i, text in enumerate("abc")]))
    taken = pool.take(np.array([2, 0, 2]))
    assert taken == [{"prompt": "c", "answer": 2}, {"prompt": "a", "answer": 0}, {"prompt": "c", "answer": 2}]
    taken[0]["answer"] = 9
    assert pool.rows[2]["answer"] == 2
    assert pool.take(NOTHING) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], ["train_dataset is empty (0 rows)", "give at least one batch"]),
        ([{"question": "a", "answer": 1}], ["no `prompt` column", "question, answer", "rename"]),
        (
            (row for row in [{"prompt": "a"}]),
            ["train_dataset (generator) has no length", "without streaming"],
        ),
        (None, ["train_dataset (NoneType) has no length"]),
    ],
)
def test_bad_data_says_what_is_wrong_and_what_to_do(rows, said):
    with pytest.raises(ValueError) as error:
        make_pool(rows)
    for part in said:
        assert part in str(error.value)


def seen_pool() -> PromptPool:
    pool = make_pool([{"prompt": text} for text in "abcd"])
    pool.draw(3, NOTHING)
    pool.observe(np.array([0, 3]), step=4)
    return pool


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ("abcde", "had 4 prompts, now there are 5, of which 1 are new, 0 are gone"),
        ("abx", "had 4 prompts, now there are 3, of which 1 are new, 2 are gone"),
        ("dcba", "now there are 4, of which 0 are new, 0 are gone and the order differs"),
    ],
)
def test_resuming_with_changed_data_says_what_differs(prompts, said):
    state = seen_pool().state_dict()
    pool = make_pool([{"prompt": text} for text in prompts])
    with pytest.raises(ValueError, match="changed since the checkpoint") as error:
        pool.load_state_dict(state)
    assert said in str(error.value)
    assert "allow_changed_data=true" in str(error.value)
    assert pool.visits_N.sum() == 0


def test_known_prompts_keep_their_statistics_if_the_user_says_so():
    pool = make_pool([{"prompt": text} for text in "xdyab"])
    pool.load_state_dict(seen_pool().state_dict(), allow_changed=True)
    np.testing.assert_array_equal(pool.visits_N, [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(pool.last_step_N, [-1, 4, -1, 4, -1])
    assert pool.metrics()["pool/pass"] == 1.0
    assert sorted(pool.draw(5, NOTHING)) == list(range(5))


def test_state_is_not_shared_with_the_pool_that_loads_it():
    first = seen_pool()
    second = seen_pool()
    second.load_state_dict(first.state_dict())
    second.observe(np.array([0]), step=9)
    np.testing.assert_array_equal(first.visits_N, [1, 0, 0, 1])


PROBABILITIES = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@given(
    admission=st.lists(PROBABILITIES, min_size=1, max_size=30),
    draws=st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 29), max_size=8)), max_size=8),
)
def test_an_admitted_draw_is_distinct_avoids_exclude_and_gives_up_only_after_all(admission, draws):
    pool = numbered(len(admission))
    probability_N = np.array(admission)
    rng = np.random.default_rng(0)
    for num, exclude in draws:
        exclude = {index for index in exclude if index < len(pool)}
        admitted, others, probability = pool.draw_admitted(
            num, np.array(sorted(exclude), dtype=np.int64), lambda index_N: probability_N[index_N], rng
        )
        looked_at = [*admitted.tolist(), *others.tolist()]
        assert len(set(looked_at)) == len(looked_at) and set(looked_at).isdisjoint(exclude)
        assert len(admitted) <= num and (probability_N[admitted] > 0).all() and (probability < 1).all()
        np.testing.assert_array_equal(probability, probability_N[others])
        if len(admitted) < min(num, len(pool) - len(exclude)):
            assert len(looked_at) == len(pool) - len(exclude)


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 29))), max_size=6))
def test_admitting_everybody_is_the_plain_stream(num_prompts, draws):
    plain, admitting = numbered(num_prompts), numbered(num_prompts)
    rng = np.random.default_rng(0)
    for num, exclude in draws:
        exclude = np.array(sorted(index for index in exclude if index < num_prompts), dtype=np.int64)
        drawn = admitting.draw_admitted(num, exclude, lambda index_N: np.ones(len(index_N)), rng)[0]
        np.testing.assert_array_equal(drawn, plain.draw(num, exclude))


@pytest.mark.parametrize("num", [1, 3, 10])
def test_admitted_prompts_come_once_a_pass_and_the_surplus_waits(num):
    pool, rng = numbered(40), np.random.default_rng(0)
    drawn: list[int] = []
    while len(drawn) + num <= 20:
        drawn.extend(pool.draw_admitted(num, NOTHING, lambda index_N: 1.0 - index_N % 2, rng)[0].tolist())
    assert len(set(drawn)) == len(drawn) and pool.num_passes == 0


def test_a_draw_gives_up_after_its_greatest_number_of_looks(monkeypatch):
    monkeypatch.setattr("rlkit.prompts.pool.MAX_LOOKS", 64)
    pool = numbered(1000)
    admitted, others, _ = pool.draw_admitted(
        8, NOTHING, lambda index_N: np.zeros(len(index_N)), np.random.default_rng(0)
    )
    assert (len(admitted), len(others)) == (0, 64)


def test_a_sorted_stream_goes_by_its_key_also_after_a_restore():
    pool, restored = numbered(30), numbered(30, seed=9)
    key_N = np.arange(30) // 10 * -1.0
    for each in (pool, restored):
        each.sort_by(key_N)
    first = pool.draw(35, NOTHING)
    assert (np.diff(key_N[first[:30]]) >= 0).all()
    restored.load_state_dict(pool.state_dict())
    np.testing.assert_array_equal(restored.draw(20, NOTHING), pool.draw(20, NOTHING))


def test_carried_statistics_follow_their_prompts():
    old = numbered(4)
    changed = PromptPool([{"prompt": f"p{i}"} for i in (3, 9, 1)], np.array([3, 9, 1], dtype=np.uint64))
    changed.load_state_dict(old.state_dict(), allow_changed=True)
    np.testing.assert_array_equal(changed.carried(np.array([10.0, 11.0, 12.0, 13.0]), -1), [13, -1, 11])
    same = numbered(4)
    same.load_state_dict(old.state_dict())
    np.testing.assert_array_equal(same.carried(np.array([1, 2, 3, 4]), 0), [1, 2, 3, 4])
