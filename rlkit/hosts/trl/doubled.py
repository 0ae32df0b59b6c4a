"""The mean of the entropy discriminator over the vocabulary, through TRL's fused head, which keeps no logits.

At half the temperature the policy is q_i = p_i^2 / Z, Z = sum_i p_i^2. Of the sampled token a and the
entropies H of p and H_q of q, log Z = 2 log p_a - log q_a and sum_i p_i^2 log p_i = Z (log Z - H_q) / 2, so

    E_{i~p}[S_i] = sum_i p_i^2 (H + log p_i) = Z (H + (log Z - H_q) / 2).

The head is TRL's with another temperature, so caps, biases, sharding and adapters stay as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl.trainer.utils import add_fused_lm_head

from rlkit.hosts.trl.hidden_states import base_model
from rlkit.objectives.objective import Scored


def expected_discriminator(scored: Scored, doubled: Scored) -> torch.Tensor:
    """E_{i~p}[S_i] at each position, (R, T). p = (0.7, 0.2, 0.1) -> 0.1708"""
    log_z_RT = 2 * scored.logprob_RT - doubled.logprob_RT
    return log_z_RT.exp() * (scored.entropy_RT + (log_z_RT - doubled.entropy_RT) / 2)


@contextmanager
def doubled_logits(trainer: Any) -> Iterator[None]:
    """Inside, a forward scores tokens with logits twice as large."""
    model = base_model(trainer)
    forward = model.forward
    add_fused_lm_head(
        model,
        temperature=trainer.temperature / 2,
        cast_lm_head_to_fp32=trainer.args.cast_lm_head_to_fp32,
        outputs=("log_probs", "entropy"),
    )
    try:
        yield
    finally:
        model.forward = forward
