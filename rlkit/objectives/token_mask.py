"""What masks of tokens share: they tell how much of the latest generation did not train."""

from rlkit.objectives.objective import Objective


class TokenMask(Objective):
    """An objective whose `token_weight` leaves the share that it masked in `_masked`."""

    _masked = 0.0

    def metrics(self) -> dict[str, float]:
        """The share of the latest generation's tokens that did not train."""
        return {"masked": self._masked}

    def state_dict(self) -> dict[str, float]:
        return {"masked": self._masked}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._masked = state["masked"]
