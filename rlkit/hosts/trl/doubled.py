"""The mean of the entropy discriminator over the vocabulary, through TRL's fused head, which keeps no logits.

With doubled logits the policy is q_i = p_i^2 / Z, Z = sum_i p_i^2. Of the sampled token a and the entropies
H of p and H_q of q, log Z = 2 log p_a - log q_a and sum_i p_i^2 log p_i = Z (log Z - H_q) / 2, so that

    E_{i~p}[S_i] = sum_i p_i^2 (H + log p_i) = Z (H + (log Z - H_q) / 2).

The hidden states are doubled, where the head is linear: any sharding or adapter stays as TRL has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rlkit.hosts.trl.hidden_states import base_model
from rlkit.objectives.objective import Scored


def expected_discriminator(scored: Scored, doubled: Scored) -> torch.Tensor:
    """E_{i~p}[S_i] at each position, (R, T). p = (0.7, 0.2, 0.1) -> 0.1708"""
    log_z_RT = 2 * scored.logprob_RT - doubled.logprob_RT
    return log_z_RT.exp() * (scored.entropy_RT + (log_z_RT - doubled.entropy_RT) / 2)


@contextmanager
def doubled_logits(trainer: Any) -> Iterator[None]:
    """Inside, a forward scores tokens with logits twice as large."""

    def double(module: Any, inputs: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state * 2
        return output

    hook = base_model(trainer).get_decoder().register_forward_hook(double)
    try:
        yield
    finally:
        hook.remove()


def check_head(trainer: Any) -> None:
    """Raises ValueError where the model's head is not linear."""
    base = base_model(trainer)
    softcap = getattr(base.config.get_text_config(), "final_logit_softcapping", None)
    bias = getattr(base.get_output_embeddings(), "bias", None)
    if softcap is not None or bias is not None:
        what = (
            "caps its logits (final_logit_softcapping)" if softcap is not None else "has a head with a bias"
        )
        raise ValueError(
            f"an objective (clip_v) needs a linear head, and the model {what}; take another (clip_b)"
        )
