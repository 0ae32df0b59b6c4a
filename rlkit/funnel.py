"""The funnel of a generation: proposed -> graded -> kept (with drop reasons) -> trained, and what it cost."""

import math

import numpy as np

from rlkit.curriculum.filters import KEPT, REASONS
from rlkit.types import Batch


def funnel(batch: Batch) -> dict[str, float]:
    """A generation's metrics. Reasons that did not occur count 0, so that means over steps are right."""
    groups, trained_P = batch.groups, batch.trained_P
    num_completions = groups.signal_PG.shape[1]
    names, counts = np.unique(batch.reason_P.astype(str), return_counts=True)
    signal_P = groups.mean_P
    return {
        "funnel/candidates": batch.num_candidates,
        "funnel/rounds": batch.num_rounds,
        "funnel/graded": len(groups),
        "funnel/trained": int(trained_P.sum()),
        "funnel/topped_up": int((batch.reason_P[trained_P] != KEPT).sum()),
        **dict.fromkeys((f"funnel/{reason}" for reason in REASONS), 0),
        **{f"funnel/{name}": int(count) for name, count in zip(names, counts, strict=True)},
        "rollouts/spent": len(groups) * num_completions,
        "rollouts/trained": int(trained_P.sum()) * num_completions,
        "rollouts/unscorable": int(np.isnan(groups.signal_PG).sum()),
        "effective_ratio": float(groups.informative_P[trained_P].mean()) if trained_P.any() else 0.0,
        "signal/all": float(np.nanmean(signal_P)) if not np.isnan(signal_P).all() else math.nan,
        "signal/trained": float(np.nanmean(signal_P[trained_P]))
        if not np.isnan(signal_P[trained_P]).all()
        else math.nan,
        "tokens/generated": int(groups.length_PG.sum()),
        "seconds/selection": batch.selection_seconds,
        "seconds/generation": groups.generation_seconds,
        "seconds/grading": groups.grading_seconds,
    }
