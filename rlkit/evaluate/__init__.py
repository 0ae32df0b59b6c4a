"""What a trained policy can do: accuracy and pass@k with intervals, from a checkpoint on disk."""

from rlkit.evaluate.statistics import bootstrap_interval, pass_at_k, wilson_interval

__all__ = ["bootstrap_interval", "pass_at_k", "wilson_interval"]
