"""Which warnings are news: one that has been given counts again only after it had ended."""

CALM_STEPS = 100
"""Steps without the sign until it counts as ended: what flickers is one episode."""


class Episodes:
    """Remembers the last step of each sign.

    Example: signs at steps 5, 6, 40 and 300 are news at 5 and at 300.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_news(self, name: str, step: int) -> bool:
        """To be asked at every step that has the sign."""
        last = self._last.get(name)
        self._last[name] = step
        return last is None or step - last > CALM_STEPS

    def state_dict(self) -> dict[str, int]:
        return dict(self._last)

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._last = dict(state)
