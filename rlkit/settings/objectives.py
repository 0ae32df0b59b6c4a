"""The settings of the objectives: which ones, and their numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class ObjectivesConfig:
    """What the update learns from beside GRPO's loss; none by default."""

    objectives: str | None = field(
        default=None,
        metadata={"help": "Names joined by commas; `rlkit objectives` lists them. Default: none."},
    )
    demonstration_column: str = field(
        default="demonstration",
        metadata={"help": "Of the data: a completion that solves the prompt, text or messages as it is."},
    )
    relift_pairs: int = field(
        default=128, metadata={"help": "Demonstrations of a supervised step (M, the paper's)."}
    )
    relift_alpha: float = field(
        default=1e-4, metadata={"help": "Weight of the entropy in it (the paper's best; its code: 1e-3)."}
    )
    relift_fail: float = field(
        default=0.0,
        metadata={"help": "Greatest signal of a completion that has not solved its prompt (its code: 0)."},
    )
    clip_b_mu: float = field(
        default=2.5,
        metadata={
            "help": "Standard deviations of the entropy discriminator below which a token with a negative "
            "advantage does not train (Trinity-RFT's code)."
        },
    )
    clip_v_mu: float = field(
        default=8.5,
        metadata={"help": "The same against the vocabulary's mean (Trinity-RFT's code)."},
    )
    clip_v_share: float = field(
        default=1e-4,
        metadata={"help": "Share of all tokens that clip_v masks at most (Trinity-RFT's code)."},
    )

    def names(self) -> list[str]:
        """What `objectives` names, in its order."""
        return [name.strip() for name in (self.objectives or "").split(",") if name.strip()]

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
        self._check("relift_pairs", lambda value: value >= 1, "must be at least 1")
        for name in ("clip_b_mu", "clip_v_mu", "relift_alpha"):
            self._check(name, lambda value: value >= 0, "must be at least 0")
        self._check("clip_v_share", lambda value: 0 < value <= 1, "must be above 0 and at most 1")

    def _check(self, name: str, possible: Callable[[float], bool], remedy: str) -> None:
        value = getattr(self, name)
        if not possible(value):
            raise ValueError(f"{name} ({value}) {remedy}")
