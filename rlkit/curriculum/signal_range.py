"""Whether the signal stays within its declared range: an error before the first update, a count later.

The first step in which anything is graded shows what the reward gives. For a preset that counts in shares of
the range a value outside of it is then an error, before any update; for the others it is a warning. Later on
such values are clipped where the curriculum learns from them, and counted; filters, ledger and training see
them as they are.
"""

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.curriculum.scale import Scale
from rlkit.types import Groups

logger = logging.getLogger(__name__)

ROUNDING = 1e-5
"""Of the range's size: rewards are float32, and a total is a sum of them."""


class SignalRange:
    """The declared range, and how many values were outside of it.

    Args:
        scale: the declared range.
        needed: the preset's rule depends on it.
        preset, signal: names for the messages; a signal of None is the weighted total.
    """

    def __init__(self, scale: Scale, needed: bool, preset: str, signal: str | None = None):
        self.scale, self.needed, self.preset, self.signal = scale, needed, preset, signal
        self._first_step: int | None = None
        self._num_outside = 0

    def checked(self, groups: Groups, step: int) -> Groups:
        """The groups as the curriculum may learn from them.

        Raises:
            ValueError: the preset depends on the range, and the run's first signals leave it.
        """
        value = groups.signal_PG[~np.isnan(groups.signal_PG)]
        if len(value) == 0:
            return groups
        if self._first_step is None:
            self._first_step = step
        low, high = self.scale.low, self.scale.high
        margin = ROUNDING * max(high - low, abs(low), abs(high))
        num_outside = int(((value < low - margin) | (value > high + margin)).sum())
        if num_outside:
            self._tell(float(value.min()), float(value.max()), step)
            self._num_outside += num_outside
        if not self.needed:
            return groups
        return replace(groups, signal_PG=np.clip(groups.signal_PG, low, high)) if num_outside else groups

    def _tell(self, least: float, greatest: float, step: int) -> None:
        low, high = self.scale.low, self.scale.high
        what = "the weighted total" if self.signal is None else f"curriculum_signal={self.signal!r}"
        seen = (
            f"the signal ({what}) went from {least:g} to {greatest:g}, outside of signal_min ({low:g}) to "
            f"signal_max ({high:g})"
        )
        remedy = (
            f"set signal_min={min(least, low):g} and signal_max={max(greatest, high):g}, or wider where the "
            "reward can give more"
        )
        if not self.needed:
            if self._num_outside == 0:
                logger.warning(
                    "%s; curriculum=%r does not depend on the range, but the calibration metrics do: %s",
                    seen,
                    self.preset,
                    remedy,
                )
        elif step == self._first_step:
            raise ValueError(
                f"{seen}, and curriculum={self.preset!r} counts in shares of that range: {remedy}"
            )
        elif self._num_outside == 0:
            logger.warning(
                "%s; the curriculum takes such values as the nearest end, signal/out_of_range counts them. "
                "If they are meant: %s",
                seen,
                remedy,
            )

    def metrics(self) -> dict[str, float]:
        """Completions outside of the range since the start of the run."""
        return {"signal/out_of_range": float(self._num_outside)}

    def state_dict(self) -> dict[str, Any]:
        return {"first_step": self._first_step, "num_outside": self._num_outside}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first_step, self._num_outside = state["first_step"], state["num_outside"]


UNCHECKED = Scale(-np.inf, np.inf)
"""For a curriculum that was put together by hand, which declares no range."""
