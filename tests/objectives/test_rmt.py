"""Guards RMT's dual loss by hand: which tokens train, at what weight; and what is said of unusable data."""

from types import SimpleNamespace

import pytest
import torch

from rlkit.objectives.objective import Example, Scored, Update
from rlkit.objectives.rmt import RMT, num_shared
from rlkit.prompts.pool import make_pool

EOS = 0


class Scripted:
    """A host to which a letter is a token, and token t costs t times the model's weight."""

    num_processes, rank, num_parts = 1, 0, 2

    def fits(self, rows, completions):
        return [True] * len(rows)

    def encode(self, rows, completions):
        return [Example([9], [*[ord(c) - ord("a") + 1 for c in text], EOS]) for text in completions]

    def score(self, model, examples):
        ids = [torch.tensor(example.completion_ids) for example in examples]
        ids_RT = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=100)
        return Scored(-model.weight * ids_RT, ids_RT, (ids_RT != 100).long())

    def gathered(self, local_N):
        return local_N


def made(*rows, **numbers):
    objective = RMT(**numbers)
    pool = make_pool([{"prompt": str(i), **row} for i, row in enumerate(rows)])
    objective.bind(Scripted())
    objective.check(pool, lambda completions, rows: [])
    objective.check_tokens(pool)
    return objective


def loss(objective, part=0):
    model = SimpleNamespace(weight=torch.tensor(2.0, requires_grad=True))
    value = objective.loss(Update(model, model.weight, part, 0))
    (gradient,) = torch.autograd.grad(value, [model.weight])
    return float(value.detach()), float(gradient)


def test_the_loss_by_hand():
    """Of "abc" with the answer "a" train b and c, of "dd" without one both, of "b", all answer, none."""
    rows = [
        {"reference": "abc", "answer": "a"},
        {"reference": "dd", "answer": None},
        {"reference": "b", "answer": "b"},
    ]
    objective = made(*rows, rows=3)
    objective.collected(None)
    mean = (2 + 3 + 4 + 4) / 4
    assert loss(objective) == pytest.approx((0.1 * 2 * mean, 0.1 * mean))
    assert objective.metrics() == {"next_token": pytest.approx(2 * mean)}
    assert num_shared([1, 2, 0], [1, 2, 3]) == 2 and num_shared([], [1]) == 0


def test_nothing_left_to_train_is_no_loss():
    objective = made({"reference": "b", "answer": "b"}, rows=1)
    objective.collected(None)
    assert loss(objective) == (0.0, 0.0)


def test_state_says_which_references_come():
    rows = [{"reference": letter * 2} for letter in "abcde"]
    first, second = made(*rows, rows=1, weight=1.0), made(*rows, rows=1, weight=1.0)
    for _ in range(2):
        first.collected(None)
        losses = [loss(first, part) for part in (0, 1)]
    second.collected(None)
    second.load_state_dict(first.state_dict())
    assert second.metrics() == first.metrics()
    assert [loss(second, part) for part in (0, 1)] == losses
    assert losses[0] != losses[1], "each micro-batch has its own"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"answer": "a"}], r"reference_column \('reference'\) is not in the data; its columns are prompt, "),
        ([{"reference": ""}, {"reference": None}], "is empty in every row; add references"),
        ([{"reference": 3}], "the prompt with key .* is text, its reference int; both must be text"),
    ],
)
def test_a_mistake_is_one_line(rows, said):
    with pytest.raises(ValueError, match=said):
        made(*rows)
