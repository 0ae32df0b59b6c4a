"""The entropy discriminator (Wang et al., arXiv 2602.03392): how a token's reward moves the policy's entropy.

Raising the logit of token k by eps changes the entropy H at its position by -eps * S_k, with

    S_k = p_k (H + log p_k),

so a policy-gradient step changes it by about -A (S_k - E_{i~p}[S_i]). Of the tokens with A < 0 those whose S
is below the mean, rare ones that are pushed down further, take entropy away.
"""

import torch

from rlkit.objectives.objective import Scored


def discriminator(scored: Scored) -> torch.Tensor:
    """S of each sampled token, (R, T). p = (0.7, 0.2, 0.1) -> S = (0.3116, -0.1615, -0.1501)"""
    return scored.logprob_RT.exp() * (scored.entropy_RT + scored.logprob_RT)


def spread(value_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and population standard deviation."""
    return value_N.mean(), value_N.std(correction=0)
