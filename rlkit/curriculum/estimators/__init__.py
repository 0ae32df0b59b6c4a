"""One estimator a file: it predicts a group's mean and variance and learns from every graded group."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction


@dataclass(frozen=True, slots=True)
class Reading:
    """What one forward of the policy over N prompts shows; None what was not asked for."""

    state_N2H: np.ndarray | None
    """Hidden state of a layer at the prompt's last token, and its mean over all tokens; float32."""
    likelihood_N3: np.ndarray | None
    """Log-likelihood of the reference after the prompt: sum, mean of its tokens, first token. NaN where the
    reference is empty."""
    prompt_N: np.ndarray | None
    """Mean log-likelihood of the prompt's own tokens after the first: minus the log of its perplexity."""


class Senses(Protocol):
    """What a host can tell of a prompt without rolling it out; by `judge`, what the policy says of it."""

    shows: tuple[str, ...]
    """What `read` can be asked for: "states", "likelihood", "perplexity"."""

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        """What the present policy's forward over each prompt shows.

        Args:
            layer: of the states, as a share of the policy's layers above 0; 1 is the last one's, normed.
            reference_N: texts to take the likelihood of after the prompts; None for that of the prompts.
        """
        ...

    def features(self, index_N: np.ndarray) -> np.ndarray:
        """The present policy's hidden state at the end of each prompt, (N, D) float32."""
        ...

    def truth(self, index_N: np.ndarray) -> np.ndarray | None:
        """The present success rate of each prompt, (N,), or None where the host does not know it."""
        ...

    def judge(self, index_N: np.ndarray, context_N: list[str], max_tokens: int) -> list[str]:
        """What the present policy writes after each context, a judgement of the prompt of that index."""
        ...

    def teach(self, index_P: np.ndarray, advantage_P: np.ndarray, weight: float) -> None:
        """The step's next update reinforces the judgements of these prompts by their advantages.

        loss += weight * -(1 / P) sum_i advantage_i log pi(judgement_i | context_i), P over the whole step.
        """
        ...


class Estimator(Protocol):
    """Act (`predict`), learn (`observe`), and give an account (`state_dict`, `metrics`)."""

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        """Called once before the first step, with what the estimator may look at.

        Raises:
            ValueError: it needs something that this pool or host does not have.
        """
        ...

    def predict(self, index_N: np.ndarray) -> Prediction: ...

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        """Learns from all graded groups of a round; `prediction` is what was said of them before."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def metrics(self) -> dict[str, float]: ...
