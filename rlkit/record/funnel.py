"""The funnel of a generation: proposed -> graded -> kept (with drop reasons) -> trained, and what it cost."""

import math

import numpy as np

from rlkit.curriculum.filters import KEPT, REASONS
from rlkit.types import ABSENT, REPLAYED, Batch


def funnel(batch: Batch) -> dict[str, float]:
    """A generation's metrics. Reasons that did not occur count 0, so that means over steps are right."""
    groups, trained_P = batch.groups, batch.trained_P
    fresh_P = batch.round_P != REPLAYED
    names, counts = np.unique(batch.reason_P.astype(str), return_counts=True)
    signal_P = groups.mean_P
    trained_ages = groups.age_PG[trained_P]
    return {
        "funnel/candidates": batch.num_candidates,
        "funnel/rounds": batch.num_rounds,
        "funnel/graded": int(fresh_P.sum()),
        "funnel/trained": int(trained_P.sum()),
        "funnel/topped_up": int((batch.reason_P[trained_P & fresh_P] != KEPT).sum()),
        **dict.fromkeys((f"funnel/{reason}" for reason in REASONS), 0),
        **{f"funnel/{name}": int(count) for name, count in zip(names, counts, strict=True)},
        "rollouts/spent": groups.num_rollouts,
        "rollouts/trained": int((trained_ages != ABSENT).sum()),
        "rollouts/stale": int((trained_ages > 0).sum()),
        "rollouts/unscorable": int(np.isnan(groups.signal_PG[groups.age_PG == 0]).sum()),
        "effective_ratio": float(groups.informative_P[trained_P].mean()) if trained_P.any() else 0.0,
        "signal/all": _mean(signal_P[fresh_P]),
        "signal/trained": _mean(signal_P[trained_P]),
        "tokens/generated": groups.num_tokens,
        "seconds/selection": batch.selection_seconds,
        "seconds/generation": groups.generation_seconds,
        "seconds/grading": groups.grading_seconds,
    }


def weights(batch: Batch) -> dict[str, float]:
    """What each mean of `funnel` is a mean of: the number of groups."""
    scored_P = ~np.isnan(batch.groups.mean_P)
    return {
        "effective_ratio": int(batch.trained_P.sum()),
        "signal/all": int((scored_P & (batch.round_P != REPLAYED)).sum()),
        "signal/trained": int((scored_P & batch.trained_P).sum()),
    }


def _mean(value_P: np.ndarray) -> float:
    """Without NaNs; NaN where there is nothing else."""
    return float(np.nanmean(value_P)) if not np.isnan(value_P).all() else math.nan
