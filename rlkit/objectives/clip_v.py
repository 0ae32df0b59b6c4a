"""Clip_V (Wang et al., arXiv 2602.03392): as Clip_B, against the mean over the vocabulary at each position.

D = E_{i~p}[S_i] - S, with S the entropy discriminator. A token with A < 0 trains only where D <= mu * std(D);
of the others the most violating ones are masked, and at most a share of all tokens. mu = 8.5 and the share
1e-4 are those of Trinity-RFT's code; the share is rounded down, so that a small batch masks none.
"""

import torch

from rlkit.objectives.discriminator import discriminator, spread
from rlkit.objectives.objective import Tokens
from rlkit.objectives.token_mask import TokenMask


class ClipV(TokenMask):
    """The vocabulary-normalised mask."""

    name = "clip_v"

    def __init__(self, mu: float = 8.5, share: float = 1e-4):
        self.mu, self.share = mu, share

    def token_weight(self, tokens: Tokens) -> torch.Tensor | None:
        mask_RT = tokens.scored.mask_RT
        above_RT = tokens.expected() - discriminator(tokens.scored)
        everywhere = self.learner.gathered(above_RT[mask_RT])
        if len(everywhere) == 0:
            return None
        _, std = spread(everywhere)
        violating_RT = (tokens.advantage_R < 0)[:, None] & mask_RT & (above_RT > self.mu * std)
        violating = self.learner.gathered(above_RT[violating_RT])
        most = min(int(self.share * len(everywhere)), len(violating))
        self._masked = most / len(everywhere)
        if most == 0:
            return None
        dropped_RT = violating_RT & (above_RT >= violating.topk(most).values[-1])
        return (~dropped_RT).to(above_RT)
