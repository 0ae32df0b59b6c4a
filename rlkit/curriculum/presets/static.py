"""Presets that choose by what was measured before the run: success rates (`pass_rate`), tiers (`tier`)."""

from functools import partial

from rlkit.curriculum.estimators.offline import Offline, ranked, solvable, unsaturated
from rlkit.curriculum.estimators.retire import Retire
from rlkit.curriculum.estimators.tiers import Tiers
from rlkit.curriculum.presets.preset import ONE_ROUND, Preset, admitting, of_rounds, picked, scale_of

STATIC: dict[str, Preset] = {
    "hard_examples": Preset(
        rule="train on the tenth of the pool with the least pass_rate only (or easy, medium, random)",
        paper="Hard Examples Are All You Need (Pikus et al., arXiv 2508.14094)",
        ranged=False,
        # 10 % is the paper's budget.
        numbers={**ONE_ROUND, "subset": "hard", "subset_share": 0.1},
        parts=lambda config, truth: admitting(
            config,
            Offline(
                "hard_examples",
                keep=partial(ranked, **picked(config, which="subset", share="subset_share")),
                scale=scale_of(config),
            ),
        ),
    ),
    "prefilter": Preset(
        rule="train on prompts with 0 < pass_rate < 1 only",
        paper="the baseline Pre-filter of PCL (arXiv 2510.01135)",
        ranged=False,
        numbers=ONE_ROUND,
        parts=lambda config, truth: admitting(
            config,
            Offline("prefilter", keep=unsaturated, scale=scale_of(config)),
        ),
    ),
    "rif": Preset(
        rule="drop prompts that were never solved, pass_rate = 0",
        paper="RIF-RFT (Lai et al., arXiv 2507.05386), in a third party's reading",
        ranged=False,
        numbers=ONE_ROUND,
        parts=lambda config, truth: admitting(config, Offline("rif", keep=solvable, scale=scale_of(config))),
    ),
    "easy_to_hard": Preset(
        rule="each pass over the pool goes from the greatest pass_rate to the least",
        paper="the plain order, as tested by Mordig et al. (arXiv 2603.27226); it has no constants",
        ranged=False,
        numbers=ONE_ROUND,
        parts=lambda config, truth: of_rounds(
            config, Offline("easy_to_hard", easy_first=True, scale=scale_of(config))
        ),
    ),
    "progressive_dropout": Preset(
        rule="retire prompts whose latest group did well; from the pass `revision_pass` on, all return",
        paper="Progressive Data Dropout (arXiv 2505.22342), carried over from image classification",
        ranged=True,
        # 0.3 and the last of 30 epochs are the released code's, where 0.3 is a class probability.
        numbers={**ONE_ROUND, "mastered": 0.3, "decay": 0.0, "floor": 0.0, "revision_pass": 29},
        parts=lambda config, truth: admitting(
            config,
            Retire(scale=scale_of(config), **picked(config, "mastered", "decay", "floor", "revision_pass")),
        ),
    ),
    "rmt": Preset(
        rule="draw the `tier` (easy, medium, hard) by weights that move from easy to hard",
        paper="Reinforcement Mid-Training (Tian et al., arXiv 2509.24375)",
        ranged=False,
        # Ours: a number of steps that is no one's run; set it to max_steps.
        numbers={**ONE_ROUND, "mixture_steps": 1000},
        parts=lambda config, truth: admitting(config, Tiers(**picked(config, num_steps="mixture_steps"))),
    ),
}
