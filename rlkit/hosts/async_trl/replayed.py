"""Groups that train again where a step's rounds are used up: the preset's replay, within `max_staleness`."""

from collections.abc import Iterable

import numpy as np

from rlkit.curriculum.sources.replay import Replay
from rlkit.curriculum.sources.source import Source
from rlkit.hosts.async_trl.group import Group


class Replayed:
    """Completions of the groups on a replay's shelf.

    They are not in checkpoints: what was trained on before a resume does not train again after it.

    Args:
        source: says which of them, with what weight.
    """

    def __init__(self, source: Source):
        assert isinstance(source, Replay)
        self._source = source
        self._groups: dict[int, Group] = {}

    def keep(self, group: Group) -> None:
        """Takes in a group that was trained on; the newest of a prompt."""
        if group.is_whole and not group.is_replay:
            self._groups[group.index] = group

    def draw(self, waiting: Iterable[int], oldest: int, rng: np.random.Generator) -> Group | None:
        """A group of the shelf, for the update once more; None where there is none.

        Args:
            waiting: pool indices of prompts that wait for their update.
            oldest: policy version that its completions may be of.
        """
        self._groups = {index: group for index, group in self._groups.items() if group.version >= oldest}
        shelf = self._source.shelf
        possible = np.setdiff1d(list(self._groups), list(waiting))
        drawn = shelf.draw(1, np.setdiff1d(shelf.index, possible), rng)
        return self._groups[int(drawn.index_P[0])].again() if len(drawn) else None
