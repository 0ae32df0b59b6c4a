"""The settings of the objectives: which ones, and their numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class ObjectivesConfig:
    """What the update learns from beside GRPO's loss, none by default; and how its rows are dealt."""

    objectives: str | None = field(
        default=None,
        metadata={"help": "Names joined by commas; `rlkit objectives` lists them. Default: none."},
    )
    balance_lengths: bool = field(
        default=True,
        metadata={
            "help": "Deal the rows of an optimizer step to micro-batches and processes by length, and leave "
            "padding out: the same losses up to rounding, in less time."
        },
    )
    demonstration_column: str = field(
        default="demonstration",
        metadata={"help": "Of the data: a completion that solves the prompt, text or messages as it is."},
    )
    demonstration_fail: float = field(
        default=0.0,
        metadata={
            "help": "Greatest reward of a completion that has not solved its prompt (ReLIFT's code: 0): a "
            "demonstration must earn more, and relift takes the prompts of which no completion did."
        },
    )
    relift_pairs: int = field(
        default=128, metadata={"help": "Demonstrations of a supervised step (M, the paper's)."}
    )
    relift_alpha: float = field(
        default=1e-4, metadata={"help": "Weight of the entropy in it (the paper's best; its code: 1e-3)."}
    )
    amft_validation: str | None = field(
        default=None,
        metadata={"help": "File of rows with prompt and demonstration by which amft judges; not trained on."},
    )
    amft_mu: float = field(default=0.5, metadata={"help": "amft's share of the loss at the start (paper)."})
    amft_rate: float = field(default=0.05, metadata={"help": "Step of mu by its gradients' cosine (ours)."})
    amft_entropy_rate: float = field(
        default=5e-4, metadata={"help": "Step of mu by the entropy that is missing (its code)."}
    )
    amft_every: int = field(default=20, metadata={"help": "Generations between changes of mu (its code)."})
    amft_warmup: int = field(default=50, metadata={"help": "Generations before the first (its code)."})
    amft_rows: int = field(default=8, metadata={"help": "Demonstrations beside a micro-batch (ours)."})
    reference_column: str = field(
        default="reference",
        metadata={"help": "Of the data: the text that goes on after the prompt, the answer first (rmt)."},
    )
    rmt_weight: float = field(default=0.1, metadata={"help": "Of rmt's next-token loss (the paper's)."})
    rmt_rows: int = field(default=8, metadata={"help": "References beside a micro-batch (ours)."})
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
        for name in ("amft_rate", "amft_entropy_rate", "amft_warmup", "rmt_weight"):
            self._check(name, lambda value: value >= 0, "must be at least 0")
        for name in ("amft_every", "amft_rows", "rmt_rows"):
            self._check(name, lambda value: value >= 1, "must be at least 1")
        self._check("amft_mu", lambda value: 0.05 <= value <= 0.95, "must lie in 0.05 to 0.95")
        self._check("clip_v_share", lambda value: 0 < value <= 1, "must be above 0 and at most 1")

    def _check(self, name: str, possible: Callable[[float], bool], remedy: str) -> None:
        value = getattr(self, name)
        if not possible(value):
            raise ValueError(f"{name} ({value}) {remedy}")
