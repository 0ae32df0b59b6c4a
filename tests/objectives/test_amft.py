"""Guards AMFT by hand: its controller on a quadratic with a known best weight, its bounds."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.objectives.amft import AMFT, cosine, steered
from rlkit.objectives.objective import Scored, Tokens, Update
from rlkit.prompts.pool import make_pool


def test_a_step_by_hand():
    assert steered(0.5, 1.0, 0.0, 0.05, 5e-4) == pytest.approx(0.55)
    assert steered(0.5, -1.0, 2.0, 0.05, 5e-4) == pytest.approx(0.451)
    assert steered(0.94, 1.0, 0.0, 0.05, 5e-4) == 0.95 and steered(0.06, -1.0, 0.0, 0.05, 5e-4) == 0.05
    one, other = [torch.tensor([3.0]), torch.tensor([4.0])], [torch.tensor([4.0]), torch.tensor([3.0])]
    assert cosine(one, other) == pytest.approx(24 / 25)
    assert cosine(one, [torch.zeros(1)] * 2) == 0.0


@given(st.floats(0.05, 0.95), st.floats(-1, 1), st.floats(-100, 100), st.floats(0, 10), st.floats(0, 1))
def test_mu_stays_within_its_bounds(mu, gain, lack, rate, entropy_rate):
    assert 0.05 <= steered(mu, gain, lack, rate, entropy_rate) <= 0.95


class Quadratic:
    """A host of two parameters w. A demonstration's loss is |w - row["to"]|^2 / 2."""

    num_processes, rank, num_parts, parts_of_step, rows_at_once = 1, 0, 1, 1, 2

    def encode(self, rows, completions):
        return rows

    def score(self, model, examples):
        away = [((model.w - torch.tensor(row["to"])) ** 2).sum() / 2 for row in examples]
        return Scored(-torch.stack(away)[:, None], torch.full((len(away), 1), 2.0), torch.ones(len(away), 1))

    def gathered(self, local_N):
        return local_N

    def unwrapped(self, model):
        return model

    def gradient(self, model, loss):
        return list(torch.autograd.grad(loss, [model.w], retain_graph=True))

    def averaged(self, gradient):
        return gradient


def tokens():
    scored = Scored(torch.zeros(2, 3), torch.full((2, 3), 2.0), torch.ones(2, 3))
    return Tokens(scored, torch.zeros(2), lambda: torch.zeros(2, 3))


def run(to, pull, steps=60):
    """mu of each generation of gradient steps: RL pulls to `pull`, the demonstrations to `to`."""
    rows = [{"prompt": str(i), "demonstration": "1", "to": to} for i in range(4)]
    held = [{"prompt": str(i), "demonstration": "1", "to": (1.0, 0.0)} for i in range(4)]
    objective = AMFT(held, every=2, warmup=2, rows=2)
    objective.check(make_pool(rows), lambda completions, rows: [1.0] * len(rows))
    objective.bind(Quadratic())
    model = SimpleNamespace(w=torch.zeros(2, requires_grad=True))
    mus = []
    for _ in range(steps):
        objective.collected(None)
        rl = objective.token_weight(tokens()).mean() * ((model.w - torch.tensor(pull)) ** 2).sum() / 2
        loss = rl + objective.loss(Update(model, rl, 0, 0))
        (gradient,) = torch.autograd.grad(loss, [model.w])
        with torch.no_grad():
            model.w -= 0.01 * gradient
        mus.append(objective.metrics()["mu"])
    return objective, mus


def test_on_a_quadratic_mu_follows_the_direction_that_is_known_to_be_right():
    _, helped = run(to=(1.0, 0.0), pull=(-1.0, 0.0))
    assert helped[:4] == [0.5] * 4, "warm-up, and a change holds from the next generation on"
    assert helped[4] == pytest.approx(0.55) and helped[6] == pytest.approx(0.6), "the cosine is 1"
    assert helped[-1] == 0.95
    _, useless = run(to=(-1.0, 0.0), pull=(1.0, 0.0))
    assert useless[4] == pytest.approx(0.45) and useless[-1] == 0.05
    _, across = run(to=(0.0, 1.0), pull=(0.0, -1.0), steps=6)
    assert across[4] == pytest.approx(0.5, abs=1e-3), "at a right angle to what is judged"


def test_the_loss_is_mu_times_the_demonstrations_and_state_is_all_there_is():
    objective, _ = run(to=(1.0, 0.0), pull=(-1.0, 0.0), steps=9)
    other, _ = run(to=(1.0, 0.0), pull=(-1.0, 0.0), steps=1)
    other.load_state_dict(objective.state_dict())
    model = SimpleNamespace(w=torch.tensor([3.0, 0.0], requires_grad=True))
    for each in (objective, other):
        each.collected(None)
        weight, mu = each.token_weight(tokens()), each.metrics()["mu"]
        assert weight.unique().tolist() == pytest.approx([1 - mu])
        assert float(each.loss(Update(model, model.w.sum(), 0, 0)).detach()) == pytest.approx(mu * 2.0)
    assert objective.metrics() == other.metrics() and objective.metrics()["entropy_target"] == 2.0


def test_a_validation_set_is_asked_for_and_checked(tmp_path):
    pool = make_pool([{"prompt": str(i), "demonstration": "1"} for i in range(4)])

    def all_right(completions, rows):
        return [1.0] * len(rows)

    with pytest.raises(ValueError, match=r"amft_validation \(None\) names no rows to judge .* give a file"):
        AMFT(None).check(pool, all_right)
    with pytest.raises(ValueError, match=r"amft_validation: data file none\.jsonl does not exist"):
        AMFT("none.jsonl").check(pool, all_right)
    with pytest.raises(ValueError, match=r"amft_validation: .*'demonstration'.* is not in the data"):
        AMFT([{"prompt": "1"}]).check(pool, all_right)
    empty = tmp_path / "held.jsonl"
    empty.touch()
    with pytest.raises(ValueError, match="amft_validation: "):
        AMFT(empty).check(pool, all_right)
    with pytest.raises(ValueError, match="the reward rejects 4 of 4"):
        AMFT(None, fail=1.0).check(pool, all_right)
    grades = iter([[1.0] * 4, [0.0]])
    with pytest.raises(ValueError, match="amft_validation: the reward rejects 1 of 1"):
        AMFT([{"prompt": "9", "demonstration": "2"}]).check(pool, lambda *given: next(grades))
