"""Presets that take prompts as they come and decide after the rollouts, and plain GRPO, which does not."""

from functools import partial

from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.estimators.perplexity_band import PerplexityBand
from rlkit.curriculum.filters import band, top_variance, variance_floor, zero_variance
from rlkit.curriculum.presets.preset import (
    EXPLORING,
    ONE_ROUND,
    REFILL,
    Parts,
    Preset,
    admitting,
    numbers_of_rounds,
    of_rounds,
    picked,
    replaying,
    scale_of,
)
from rlkit.curriculum.selectors import in_order
from rlkit.curriculum.sources.banked import Bank, Banked
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.curriculum.sources.screened import Screened
from rlkit.settings.config import CurriculumConfig


def _vcrl(config: CurriculumConfig) -> Parts:
    width = scale_of(config).high - scale_of(config).low
    floor, early = config.variance_floor, config.warmup_variance_floor
    bank = Bank(**picked(config, momentum="bank_momentum", floor="variance_floor"), width=width)
    rounds = Banked(
        bank,
        partial(variance_floor, floor=floor, width=width),  # type: ignore[arg-type]
        early_filter=partial(variance_floor, floor=early, width=width),  # type: ignore[arg-type]
        **picked(config, early_steps="warmup_filter_steps"),
        **numbers_of_rounds(config),
    )
    return Parts(Neutral(), (rounds,))


def _speed(config: CurriculumConfig) -> Parts:
    numbers = picked(config, "screen", "max_age", capacity="shelf_size")
    return Parts(Neutral(), (Screened(in_order, zero_variance, **numbers, **numbers_of_rounds(config)),))


def _ssb(config: CurriculumConfig) -> Parts:
    rounds = Rounds(in_order, zero_variance, **numbers_of_rounds(config))
    return Parts(Neutral(), replaying(config, rounds))


FILTERING: dict[str, Preset] = {
    "uniform": Preset(
        rule="shuffled passes over the pool, every group is trained on",
        paper="plain GRPO (arXiv 2402.03300)",
        ranged=False,
        numbers=ONE_ROUND,
        parts=lambda config, truth: of_rounds(config, Neutral()),
    ),
    "dapo": Preset(
        rule="drop groups with no variance, roll out more until the batch is full",
        paper="DAPO's dynamic sampling (arXiv 2503.14476)",
        ranged=False,
        numbers=REFILL,
        parts=lambda config, truth: of_rounds(config, Neutral(), filter=zero_variance),
    ),
    "odf": Preset(
        rule="keep groups with a mean inside a band about one half, refill",
        paper="balanced online difficulty filtering (Bae et al., arXiv 2504.03380)",
        ranged=True,
        # An example that secondary sources give; the paper's grid was not found.
        numbers={**REFILL, "band_low": 0.2, "band_high": 0.8},
        parts=lambda config, truth: of_rounds(
            config,
            Neutral(),
            filter=partial(
                band,
                low=scale_of(config).value(config.band_low),  # type: ignore[arg-type]
                high=scale_of(config).value(config.band_high),  # type: ignore[arg-type]
            ),
        ),
    ),
    "perplexity_band": Preset(
        rule="only prompts whose perplexity under the policy is in the middle; both tails are passed over",
        paper="BFS-Prover-V2's filter (arXiv 2509.06493), of prompts in place of tactics",
        ranged=False,
        # The paper's cut-offs were not found: ours.
        numbers={**ONE_ROUND, "band_low": 0.1, "band_high": 0.9},
        parts=lambda config, truth: admitting(
            config, PerplexityBand(**picked(config, low="band_low", high="band_high"))
        ),
    ),
    "lilo": Preset(
        rule="roll out 4 times the batch, train on the groups with the greatest p(1-p)",
        paper="LILO (arXiv 2502.12272)",
        ranged=False,
        # The paper's pool of 4 batches (8 late in its GSM8K runs).
        numbers={**ONE_ROUND, "oversample": 4.0},
        parts=lambda config, truth: of_rounds(
            config,
            Neutral(),
            filter=partial(top_variance, share=1 / config.oversample),  # type: ignore[operator]
            oversample=config.oversample,
        ),
    ),
    "vcrl": Preset(
        rule="keep groups whose variance is kappa of the greatest possible, refill from a bank of such",
        paper="VCRL (arXiv 2509.19803)",
        ranged=True,
        # All from memory of the paper: 0.3 in the first 20 steps, then 0.8; momentum 0.9.
        numbers={
            **REFILL,
            "variance_floor": 0.8,
            "warmup_variance_floor": 0.3,
            "warmup_filter_steps": 20,
            "bank_momentum": 0.9,
            **EXPLORING,
        },
        parts=lambda config, truth: _vcrl(config),
    ),
    "reinforce_rej": Preset(
        rule="drop groups with no variance and train on what is left, without a refill",
        paper="Reinforce-Rej (arXiv 2504.11343), its filter alone: the loss is the trainer's",
        ranged=False,
        numbers={**ONE_ROUND, "fill": "shrink"},
        parts=lambda config, truth: of_rounds(config, Neutral(), filter=zero_variance),
    ),
    "speed": Preset(
        rule="4 completions first; only prompts where these differ get the rest of their group, refill",
        paper="SPEED-RL (arXiv 2506.09016)",
        ranged=False,
        # 4 is the released code's; how many wait, and how long, is ours.
        numbers={**REFILL, "screen": 4, "shelf_size": 512, "max_age": 4},
        parts=lambda config, truth: _speed(config),
    ),
    "ssb": Preset(
        rule="groups with no variance are replaced by recent ones, drawn by their mean absolute advantage",
        paper="Skywork R1V2's selective sample buffer (arXiv 2504.16656)",
        ranged=False,
        # Neither the buffer's size nor an age limit was found: both are ours.
        numbers={**ONE_ROUND, "shelf_size": 512, "max_age": 4, "replay_share": 0.0},
        parts=lambda config, truth: _ssb(config),
    ),
}
