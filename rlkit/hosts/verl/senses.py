"""What verl's driver can tell of a prompt without rolling it out: nothing, since the policy is elsewhere."""

from typing import Any

import numpy as np


class Blind:
    """Raises ValueError where an estimator asks for the policy."""

    shows: tuple[str, ...] = ()

    def __init__(self, preset: str):
        self.preset = preset

    def read(self, *_: Any, **__: Any) -> Any:
        raise ValueError(
            f"curriculum={self.preset!r} looks at the policy's states or likelihoods, which verl's driver "
            "does not have; where a value model looks (pcl) set value_features=row, or take a "
            "preset that needs none (mopps, greso, sec, adarft)"
        )

    features = judge = teach = read

    def truth(self, index_N: np.ndarray) -> None:
        return None
