"""The settings of the objectives: which ones, and their numbers."""

from dataclasses import dataclass, field


@dataclass
class ObjectivesConfig:
    """What the update learns from beside GRPO's loss; none by default."""

    objectives: str | None = field(
        default=None,
        metadata={"help": "Names joined by commas; `rlkit objectives` lists them. Default: none."},
    )

    def names(self) -> list[str]:
        """What `objectives` names, in its order."""
        return [name.strip() for name in (self.objectives or "").split(",") if name.strip()]

    def validate(self) -> None:
        """Raises ValueError that names the field, its value and the remedy."""
