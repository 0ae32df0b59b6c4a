"""What a trained policy can do: benchmarks sampled, graded and summed up, from checkpoints on disk."""

from rlkit.evaluate.statistics import (
    bootstrap_interval,
    majority_at_k,
    ock_score,
    pass_at_k,
    wilson_interval,
)

__all__ = ["bootstrap_interval", "majority_at_k", "ock_score", "pass_at_k", "wilson_interval"]
