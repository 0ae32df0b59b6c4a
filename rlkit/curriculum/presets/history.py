"""Presets that skip or pick prompts by how earlier groups of them, or of their categories, came out."""

from functools import partial

from rlkit.curriculum.estimators.bandit import Bandit
from rlkit.curriculum.estimators.missing_skills import MissingSkills
from rlkit.curriculum.estimators.moving_target import MovingTarget
from rlkit.curriculum.estimators.pools import Pools
from rlkit.curriculum.estimators.posterior import Posterior
from rlkit.curriculum.estimators.retire import Retire
from rlkit.curriculum.estimators.skip import Skip
from rlkit.curriculum.filters import zero_variance
from rlkit.curriculum.presets.preset import ONE_ROUND, REFILL, Preset, admitting, of_rounds, picked, scale_of
from rlkit.curriculum.selectors import nearest, thompson, thompson_likelihood

HISTORY: dict[str, Preset] = {
    "greso": Preset(
        rule="skip a prompt with 1 - p^z after z groups in a row without variance; then as dapo",
        paper="GRESO (arXiv 2506.02177)",
        ranged=True,
        # All from the released code; oversample is its first 384 prompts for 256 trained.
        numbers={
            **REFILL,
            "oversample": 1.5,
            "skip_base": 0.5,
            "skip_step": 0.01,
            "skip_target": 0.25,
            "floor": 0.01,
            "mastered": 0.98,
            "unsolved": 0.11,
        },
        parts=lambda config, truth: admitting(
            config,
            Skip(
                scale=scale_of(config),
                **picked(config, "floor", "mastered", "unsolved"),
                **picked(config, base="skip_base", step="skip_step", target="skip_target"),
            ),
            zero_variance,
            oversample=config.oversample,
        ),
    ),
    "mopps": Preset(
        rule="Beta posterior of each prompt; of 16 candidates a place, those whose draw is nearest 0.5",
        paper="MoPPS (arXiv 2507.04632)",
        ranged=True,
        # The released code's for MATH; its Countdown and Geo3k scripts have decay 0.5.
        numbers={
            **ONE_ROUND,
            "candidates": 16,
            "target": 0.5,
            "prior": 1.0,
            "decay": 1.0,
            "explore_share": 0.1,
        },
        parts=lambda config, truth: of_rounds(
            config,
            Posterior(scale=scale_of(config), **picked(config, "prior", "decay")),
            partial(thompson, scale=scale_of(config), **picked(config, "target")),
        ),
    ),
    "maxrl": Preset(
        rule="as mopps, by the size of Maximum Likelihood RL's advantages, 2 ((1 - (1 - p)^n) - p)",
        paper="after MaxRL (arXiv 2602.02710), with MoPPS' posterior",
        ranged=True,
        # The posterior's numbers are mopps'; likelihood_samples stands for num_generations, ours.
        numbers={
            **ONE_ROUND,
            "candidates": 16,
            "likelihood_samples": 8,
            "prior": 1.0,
            "decay": 1.0,
            "explore_share": 0.1,
        },
        parts=lambda config, truth: of_rounds(
            config,
            Posterior(scale=scale_of(config), **picked(config, "prior", "decay")),
            partial(
                thompson_likelihood, scale=scale_of(config), **picked(config, samples="likelihood_samples")
            ),
        ),
    ),
    "adarft": Preset(
        rule="take prompts nearest to a target difficulty, which rises as the mean signal exceeds 0.5",
        paper="AdaRFT (arXiv 2504.05520)",
        ranged=True,
        # The released code's, but for candidates: it ranks the whole pool, ours ranks 16 a place.
        numbers={
            **ONE_ROUND,
            "candidates": 16,
            "target": 0.5,
            "target_step": 50.0,
            "target_slope": 2.0,
            "target_start": 0.0,
        },
        parts=lambda config, truth: of_rounds(
            config,
            MovingTarget(
                scale=scale_of(config),
                **picked(
                    config, beta="target", eta="target_step", alpha="target_slope", start="target_start"
                ),
            ),
            partial(nearest, target=scale_of(config).value(config.target)),  # type: ignore[arg-type]
        ),
    ),
    "sec": Preset(
        rule="draw categories by softmax(Q / temperature), Q a running mean of their absolute advantages",
        paper="SEC (arXiv 2505.14970)",
        ranged=False,
        # From memory: a learning rate (1 - decay) of about 0.5, temperatures of 0.2 to 1; 0.2 is our choice.
        numbers={**ONE_ROUND, "decay": 0.5, "category_temperature": 0.2},
        parts=lambda config, truth: admitting(
            config, Bandit(**picked(config, "decay", temperature="category_temperature"))
        ),
    ),
    "stat_sel": Preset(
        rule="draw categories in proportion to the policy's measured failures in them",
        paper="after STAT-Sel (He et al., arXiv 2510.10023), without its teacher and process reward model",
        ranged=True,
        # 0.85 is the paper's tau_1, there of a process reward; the decay is ours.
        numbers={**ONE_ROUND, "unsolved": 0.85, "decay": 0.99},
        parts=lambda config, truth: admitting(
            config, MissingSkills(scale=scale_of(config), **picked(config, "unsolved", "decay"))
        ),
    ),
    "pools": Preset(
        rule="hard, normal and easy prompts by their latest group, with a weight for each pool",
        paper="prime-rl's DifficultyPoolSampler (PrimeIntellect-ai/prime-rl)",
        ranged=True,
        # Bounds and weights are prime-rl's; the floor is ours, and matters where a weight is set below it.
        numbers={
            **ONE_ROUND,
            "band_low": 0.25,
            "band_high": 0.75,
            "hard_weight": 0.2,
            "easy_weight": 0.2,
            "floor": 0.01,
        },
        parts=lambda config, truth: admitting(
            config,
            Pools(
                scale=scale_of(config),
                **picked(config, "hard_weight", "easy_weight", "floor", low="band_low", high="band_high"),
            ),
        ),
    ),
    "retire": Preset(
        rule="retire prompts with a mean of 0.9 or more over all their groups; drop groups without variance",
        paper="ScaleRL's no-positive-resampling (arXiv 2510.13786)",
        ranged=True,
        # 0.9 is the paper's; the floor, which looks at retired prompts again, is ours (the paper's is 0).
        numbers={**ONE_ROUND, "fill": "shrink", "mastered": 0.9, "decay": 1.0, "floor": 0.05},
        parts=lambda config, truth: admitting(
            config,
            Retire(scale=scale_of(config), **picked(config, "mastered", "decay", "floor")),
            zero_variance,
        ),
    ),
    "knapsack": Preset(
        rule="uniform prompts; the batch's completions go where they add the most expected gradient value",
        paper="Knapsack RL (arXiv 2509.25849)",
        ranged=True,
        # The paper takes the success rate of the epoch before; the prior of a half success is ours.
        numbers={**ONE_ROUND, "allocation": "knapsack", "prior": 0.5, "decay": 0.0},
        parts=lambda config, truth: of_rounds(
            config, Posterior(scale=scale_of(config), **picked(config, "prior", "decay"))
        ),
    ),
}
