"""Guards RMT's mixture: its weights by hand, tiers that lack, and that batches follow it."""

import numpy as np
import pytest

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.tiers import Tiers, mixture
from rlkit.hosts.simulated.host import SimulationConfig, prepare, run
from rlkit.prompts.pool import make_pool
from rlkit.settings.config import CurriculumConfig


def pool_of(tiers):
    return make_pool([{"prompt": f"p{i}", "tier": tier} for i, tier in enumerate(tiers)])


def bound(tiers, num_steps=100):
    estimator = Tiers(num_steps=num_steps)
    estimator.bind(pool_of(tiers), None)  # type: ignore[arg-type]
    return estimator


def test_weights_by_hand():
    for progress, weights in {
        0.0: [0.6, 0.3, 0.1],
        0.3: [0.6, 0.3, 0.1],
        0.4: [0.475, 0.3, 0.225],
        0.5: [0.35, 0.3, 0.35],
        0.7: [0.1, 0.3, 0.6],
        1.0: [0.1, 0.3, 0.6],
        2.0: [0.1, 0.3, 0.6],
    }.items():
        np.testing.assert_allclose(mixture(progress), weights)


def test_the_pools_step_says_where_the_run_is():
    tiers = bound(["hard", "easy", "medium", "easy"])
    assert tiers.names == ["easy", "hard", "medium"]
    for step, weights in {0: [0.6, 0.1, 0.3], 50: [0.35, 0.35, 0.3], 100: [0.1, 0.6, 0.3]}.items():
        tiers.pool.step = step - 1
        np.testing.assert_allclose(tiers.distribution(), weights)


def test_a_tier_that_lacks_gives_its_share_to_the_others():
    np.testing.assert_allclose(bound(["easy", "hard"]).distribution(), [6 / 7, 1 / 7])


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        (
            ["easy", "Hard", "3"],
            "curriculum='rmt' looks at `tier`, which holds '3', 'Hard'; there are: easy,",
        ),
        (["easy", None], "`tier` is missing in 1 of 2 rows"),
    ],
)
def test_other_names_are_told(tiers, said):
    with pytest.raises(ValueError, match=said):
        bound(tiers)
    with pytest.raises(ValueError, match="the data set has no `tier` column"):
        Tiers(num_steps=1).bind(make_pool([{"prompt": "p", "category": "easy"}]), None)  # type: ignore[arg-type]


class Tally(list):
    """A ledger of each batch's share of hard prompts."""

    def __init__(self, tier_N):
        self.tier_N = tier_N

    def write(self, batch):
        self.append((self.tier_N[batch.groups.index_P] == "hard").mean())


def test_batches_go_from_easy_to_hard():
    curriculum = build_curriculum(CurriculumConfig("rmt", mixture_steps=40))
    host = prepare(curriculum, SimulationConfig(num_prompts=3000, num_steps=40, groups_per_step=32))
    shares = Tally(curriculum.pool.column("tier"))
    run(curriculum, host, shares)
    assert np.mean(shares[:12]) == pytest.approx(0.1, abs=0.05)
    assert np.mean(shares[28:]) == pytest.approx(0.6, abs=0.08)
