"""Guards Clip_B and Clip_V: the discriminator, the masks and their limits by hand."""

import math

import pytest
import torch

from rlkit.hosts.trl.doubled import expected_discriminator
from rlkit.objectives.clip_b import ClipB
from rlkit.objectives.clip_v import ClipV
from rlkit.objectives.discriminator import discriminator
from rlkit.objectives.objective import Scored, Tokens

P = (0.7, 0.2, 0.1)


class Alone:
    """One process."""

    num_processes, rank, num_parts = 1, 0, 1

    def gathered(self, local_N):
        return local_N


def entropy(p):
    return -sum(x * math.log(x) for x in p)


def scored(p, rows=1):
    """Each of the policy's tokens once, in a row."""
    return Scored(
        torch.tensor([p] * rows).log(),
        torch.full((rows, len(p)), entropy(p)),
        torch.ones(rows, len(p), dtype=torch.bool),
    )


def expected_S():
    total = sum(x**2 for x in P)
    return expected_discriminator(scored(P), scored([x**2 / total for x in P]))


def weight(objective, tokens):
    objective.bind(Alone())
    return objective.token_weight(tokens)


def test_the_discriminator_by_hand():
    torch.testing.assert_close(
        discriminator(scored(P)), torch.tensor([[0.3116, -0.1615, -0.1501]]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(expected_S(), torch.full((1, 3), 0.1708), atol=1e-4, rtol=0)
    above = expected_S() - discriminator(scored(P))
    torch.testing.assert_close(above, torch.tensor([[-0.1408, 0.3323, 0.3209]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("mu", "kept"),
    [
        # mean 0, population std 0.2204: z / std = 1.41, -0.73, -0.68
        (0.70, [1, 0, 1]),
        (0.60, [1, 0, 0]),
        (2.5, [1, 1, 1]),
    ],
)
def test_clip_b_by_hand(mu, kept):
    tokens = Tokens(scored(P, 2), torch.tensor([-1.0, 1.0]), expected_S)
    objective = ClipB(mu)
    assert weight(objective, tokens).tolist() == [kept, [1, 1, 1]], "tokens with A > 0 all train"
    assert objective.metrics()["masked"] == pytest.approx(kept.count(0) / 6)


@pytest.mark.parametrize(
    ("mu", "share", "kept"),
    [
        # std of D is 0.2204 as well: D / std = -0.64, 1.51, 1.46
        (1.4, 1.0, [1, 0, 0]),
        (1.48, 1.0, [1, 0, 1]),
        (1.4, 0.17, [1, 0, 1]),  # of six tokens one: the most violating
    ],
)
def test_clip_v_by_hand(mu, share, kept):
    tokens = Tokens(scored(P, 2), torch.tensor([-1.0, 1.0]), lambda: expected_S().repeat(2, 1))
    objective = ClipV(mu, share)
    assert weight(objective, tokens).tolist() == [kept, [1, 1, 1]]
    assert objective.metrics()["masked"] == pytest.approx(kept.count(0) / 6)


def test_clip_v_masks_none_where_its_share_is_less_than_a_token():
    tokens = Tokens(scored(P), torch.tensor([-1.0]), expected_S)
    assert weight(ClipV(0.0, 0.3), tokens) is None


def test_padding_has_no_part():
    plain = scored(P)
    padded = Scored(
        torch.cat([plain.logprob_RT, torch.full((1, 5), -9.0)], 1),
        torch.cat([plain.entropy_RT, torch.full((1, 5), 3.0)], 1),
        torch.cat([plain.mask_RT, torch.zeros(1, 5, dtype=torch.bool)], 1),
    )
    tokens = Tokens(padded, torch.tensor([-1.0]), expected_S)
    assert weight(ClipB(0.70), tokens).tolist() == [[1, 0, 1, 1, 1, 1, 1, 1]]
