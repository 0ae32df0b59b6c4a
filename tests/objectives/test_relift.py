"""Guards ReLIFT by hand: who goes into the buffer, its order and what leaves it, and the loss of a step."""

import numpy as np
import pytest
import torch

from rlkit.objectives.objective import Collected, Example, Scored
from rlkit.objectives.relift import ReLIFT, unsolved
from rlkit.types import Groups


class Scripted:
    """A host of some processes in which a token's id is minus its log-probability, and its entropy 0.5."""

    rows_at_once = 2

    def __init__(self, num_processes=1, rank=0):
        self.num_processes, self.rank = num_processes, rank

    def encode(self, rows, completions):
        return [Example([row["id"]], completion) for row, completion in zip(rows, completions, strict=True)]

    def score(self, model, examples):
        width = max(len(example.completion_ids) for example in examples)
        rows = [example.completion_ids + [0] * (width - len(example.completion_ids)) for example in examples]
        mask = [[i < len(example.completion_ids) for i in range(width)] for example in examples]
        return Scored(
            -torch.tensor(rows, dtype=torch.float32),
            torch.full((len(rows), width), 0.5),
            torch.tensor(mask),
        )

    def gathered(self, local_N):
        return local_N


def made(pairs, num_processes=1, rank=0, alpha=0.1):
    objective = ReLIFT(pairs, alpha)
    objective.bind(Scripted(num_processes, rank))
    objective._accepted = {str(i) for i in range(10)}
    return objective


def show(objective, ids, signals):
    """Groups of these prompts, whose demonstration has the prompt's number of tokens."""
    signal = np.array(signals, dtype=float)
    groups = Groups(np.array(ids), signal, signal, np.ones(signal.shape, dtype=int))
    keys = np.array([str(i) for i in ids])
    rows = [{"id": i, "demonstration": list(range(1, i + 1))} for i in ids]
    objective.collected(Collected(groups, keys, lambda at: [rows[i] for i in at.tolist()], []))


def waiting(objective):
    return [key for key, _ in objective._buffer]


def test_unsolved_by_hand():
    signal = np.array([[0, 0], [0, 1], [np.nan, 0], [np.nan, np.nan]])
    assert unsolved(Groups(np.arange(4), signal, signal, np.ones((4, 2))), 0.0).tolist() == [0, 2]
    assert unsolved(Groups(np.arange(4), signal, signal, np.ones((4, 2))), 1.0).tolist() == [0, 1, 2]


def test_buffer_order_and_drop_by_hand():
    objective = made(3)
    show(objective, [1, 2, 3], [[0, 0], [0, 1], [0, 0]])
    assert waiting(objective) == ["1", "3"]
    assert objective.step_losses(None) is None, "two of three"
    show(objective, [4, 3, 12], [[0, 0], [0, 0], [0, 0]])
    assert waiting(objective) == ["4", "3", "1"], "the newest first, none twice, none without a demonstration"
    assert objective.metrics()["without"] == 1 and objective.metrics()["unsolved"] == 3
    show(objective, [5], [[0, 0]])
    assert objective.step_losses(None) is not None
    assert waiting(objective) == ["1"], "the three newest are used, and dropped"


def test_the_loss_of_a_four_token_demonstration_by_hand():
    objective = made(1)
    show(objective, [4], [[0, 0]])
    (loss,) = objective.step_losses(None)
    # mean of -log pi over tokens 1, 2, 3, 4 is 2.5; 0.1 times the mean entropy is 0.05
    assert float(loss()) == pytest.approx(2.5 - 0.05)
    assert objective.metrics()["loss"] == pytest.approx(2.45) and objective.metrics()["steps_total"] == 1


@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_step_is_the_mean_over_its_pairs_on_any_number_of_processes(world):
    """Micro-batches of two, shares filled up: the mean over processes of the sums is the mean over five."""
    totals, numbers = [], []
    for rank in range(world):
        objective = made(5, world, rank)
        show(objective, [1, 2, 3, 4, 5], [[0, 0]] * 5)
        losses = objective.step_losses(None)
        numbers.append(len(losses))
        totals.append(sum(float(loss()) for loss in losses))
    # -log pi of prompt i: (i + 1) / 2
    assert np.mean(totals) == pytest.approx(np.mean([1, 1.5, 2, 2.5, 3]) - 0.05)
    assert len(set(numbers)) == 1, "as many forwards everywhere"


def test_state_is_all_there_is():
    objective, other = made(3), made(3)
    show(objective, [1, 2], [[0, 0], [0, 0]])
    other.load_state_dict(objective.state_dict())
    assert other._buffer == objective._buffer and other.metrics() == objective.metrics()
