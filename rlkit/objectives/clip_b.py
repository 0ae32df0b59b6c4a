"""Clip_B (Wang et al., arXiv 2602.03392): tokens whose update would take too much entropy away do not train.

z = S - mean(S) over the tokens of the generation, with S the entropy discriminator. A token with A < 0 trains
only where z >= -mu * std(S); tokens with A >= 0 all do. mu = 2.5 is that of Trinity-RFT's code.
"""

import torch

from rlkit.objectives.discriminator import discriminator, spread
from rlkit.objectives.objective import Tokens
from rlkit.objectives.token_mask import TokenMask


class ClipB(TokenMask):
    """The batch-normalised mask."""

    name = "clip_b"

    def __init__(self, mu: float = 2.5):
        self.mu = mu

    def token_weight(self, tokens: Tokens) -> torch.Tensor | None:
        mask_RT, value_RT = tokens.scored.mask_RT, discriminator(tokens.scored)
        everywhere = self.learner.gathered(value_RT[mask_RT])
        if len(everywhere) == 0:
            return None
        mean, std = spread(everywhere)
        dropped_RT = (tokens.advantage_R < 0)[:, None] & mask_RT & (value_RT - mean < -self.mu * std)
        self._masked = float(self.learner.gathered(dropped_RT[mask_RT].float()).mean())
        return (~dropped_RT).to(value_RT)
