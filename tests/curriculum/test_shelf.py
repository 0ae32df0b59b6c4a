"""Guards the shelf: what is kept, for how long, and how replayed groups are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum.sources.replay import Trained, mean_absolute_advantage
from rlkit.curriculum.sources.screened import Waiting
from rlkit.prompts.pool import PromptPool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.types import REPLAYED, Batch, Groups, Prediction


def pool_of(keys) -> PromptPool:
    keys = list(keys)
    return PromptPool([{"prompt": f"p{key}"} for key in keys], np.array(keys, dtype=np.uint64))


def shelf_of(kind=Trained, capacity=10, max_age=3, keys=range(50)):
    shelf = kind(capacity, max_age)
    shelf.bind(pool_of(keys))
    return shelf


def groups_of(index, rewards=(1.0, 0.0)) -> Groups:
    reward_PG = np.tile(np.array(rewards, dtype=float), (len(index), 1))
    return Groups(np.array(index), reward_PG, reward_PG, np.ones(reward_PG.shape, dtype=int))


def batch_of(index, rewards, reasons, round_P=None, chosen=None) -> Batch:
    reward_PG = np.array(rewards, dtype=float)
    num = len(index)
    chosen_B = np.arange(num) if chosen is None else np.array(chosen)
    return Batch(
        groups=Groups(np.array(index), reward_PG, reward_PG, np.ones(reward_PG.shape, dtype=int)),
        prediction=Prediction.neutral(num),
        round_P=np.zeros(num, dtype=int) if round_P is None else np.array(round_P),
        reason_P=np.array(reasons, dtype=object),
        chosen_B=chosen_B,
        weight_B=np.ones(len(chosen_B)),
        num_candidates=num,
        num_rounds=1,
        fill="full",
        selection_seconds=0.0,
    )


def test_mean_absolute_advantage_by_hand():
    # Half right of four: deviations of 0.5, unbiased std sqrt(1/3); one of four: mean 0.375, std 0.5.
    rewards = np.array([[1.0, 1, 0, 0], [1.0, 0, 0, 0], [1.0, 0, np.nan, np.nan]])
    expected = [0.5 / (np.sqrt(1 / 3) + 1e-4), 0.375 / (0.5 + 1e-4), 0.5 / (np.sqrt(0.5) + 1e-4)]
    np.testing.assert_allclose(mean_absolute_advantage(rewards), expected)


def test_a_group_ages_and_goes():
    shelf = shelf_of(max_age=2)
    shelf.put(groups_of([3]), gone=np.array([], dtype=int))
    for age in (1, 2):
        assert shelf.index.tolist() == [3] and shelf.groups.age_PG.tolist() == [[age, age]]
        shelf.put(Groups.empty(), gone=np.array([], dtype=int))
    assert shelf.index.tolist() == []


def test_the_newest_group_of_a_prompt_stays_and_the_oldest_prompts_go():
    shelf = shelf_of(capacity=2)
    shelf.put(groups_of([1, 2]), gone=np.array([], dtype=int))
    shelf.put(groups_of([2, 3], rewards=(0.0, 1.0)), gone=np.array([], dtype=int))
    assert shelf.index.tolist() == [2, 3]
    assert shelf.groups.reward_PG.tolist() == [[0, 1], [0, 1]]


def test_replay_keeps_trained_informative_groups_and_forgets_what_was_rolled_out_again():
    shelf = shelf_of()
    shelf.store(batch_of([1, 2, 3, 4], [[1, 0], [1, 1], [0, 1], [1, 0]], ["kept"] * 4, chosen=[0, 1, 2]))
    assert shelf.index.tolist() == [1, 3]
    # 1 is rolled out anew without a difference; 3 is replayed, which neither renews nor ends it.
    shelf.store(batch_of([1, 3], [[0, 0], [0, 1]], ["all_low", "replayed"], round_P=[0, REPLAYED]))
    assert shelf.index.tolist() == [3] and shelf.groups.age_PG.tolist() == [[2, 2]]


def test_replay_draws_by_advantage_and_leaves_out_what_it_must():
    shelf = shelf_of()
    rewards = np.array([[1.0, 1, 0, 0], [1.0, 0, 0, 0], [1.0, 1, 0, 0]])
    groups = Groups(np.array([5, 6, 7]), rewards, rewards, np.ones(rewards.shape, dtype=int))
    shelf.put(groups, gone=np.array([], dtype=int))
    rng = np.random.default_rng(0)
    first = [int(shelf.draw(1, np.array([7]), rng).index_P[0]) for _ in range(4000)]
    weight = mean_absolute_advantage(rewards)
    assert first.count(7) == 0
    assert first.count(5) / 4000 == pytest.approx(weight[0] / (weight[0] + weight[1]), abs=0.03)


@given(num=st.integers(0, 8), exclude=st.lists(st.integers(0, 9)), seed=st.integers(0, 9))
def test_a_draw_is_without_repeats_and_a_function_of_the_generator(num, exclude, seed):
    shelf = shelf_of()
    shelf.put(groups_of(range(6)), gone=np.array([], dtype=int))
    draws = [
        shelf.draw(num, np.array(exclude, dtype=int), np.random.default_rng(seed)).index_P.tolist()
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == len(draws[0]) == min(num, len(set(range(6)) - set(exclude)))
    assert set(draws[0]) <= set(range(6)) - set(exclude)


def test_waiting_holds_what_was_promising_and_not_trained():
    shelf = shelf_of(Waiting)
    reasons = ["waiting", "all_low", "waiting", "kept"]
    shelf.store(batch_of([1, 2, 3, 4], [[1, 0], [0, 0], [0, 1], [1, 0]], reasons, chosen=[2, 3]))
    assert shelf.index.tolist() == [1]
    assert shelf.oldest(5).index_P.tolist() == [1] and len(shelf.oldest(0)) == 0
    shelf.store(batch_of([1], [[1, 0]], ["kept"]))
    assert shelf.index.tolist() == []


def test_state_follows_the_prompts(tmp_path):
    shelf = shelf_of(keys=range(10))
    shelf.put(groups_of([2, 5, 7], rewards=(1.0, 0.0, np.nan)), gone=np.array([], dtype=int))
    save_state(tmp_path, "shelf", shelf.state_dict())
    other = shelf_of(keys=[7, 8, 2])
    other.load_state_dict(load_state(tmp_path, "shelf"))
    assert other.index.tolist() == [2, 0]
    np.testing.assert_array_equal(other.groups.reward_PG, shelf.groups.reward_PG[[0, 2]])
    same = shelf_of(keys=range(10))
    same.load_state_dict(load_state(tmp_path, "shelf"))
    np.testing.assert_equal(same.state_dict(), shelf.state_dict())
