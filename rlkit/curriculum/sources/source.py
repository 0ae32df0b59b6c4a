"""What a source is, and what it works with: its curriculum, and a host that rolls out."""

from typing import Any, Protocol

import numpy as np

from rlkit.curriculum.calibration import Calibration
from rlkit.curriculum.estimators import Estimator
from rlkit.curriculum.filling import Filling
from rlkit.curriculum.hints.hints import Hints
from rlkit.curriculum.signal_range import SignalRange
from rlkit.curriculum.sources.shelf import Shelf
from rlkit.prompts.pool import PromptPool
from rlkit.types import Batch, Groups, Prediction, Proposal


class Host(Protocol):
    """Turns proposals into graded groups: the TRL trainer, or the simulator."""

    def whole(self, num: int, count: int) -> int:
        """The least number of prompts, not under `num`, of whose `count` completions each all processes get
        equal shares."""
        ...

    def agree(self, proposal: Proposal) -> Proposal:
        """The main process's proposal, on every process."""
        ...

    def rollout(self, proposal: Proposal) -> Groups:
        """Generates and grades `proposal.count_P` completions; every process gets all outcomes."""
        ...


class Owner(Protocol):
    """The curriculum as its sources see it."""

    name: str
    estimator: Estimator
    hints: Hints | None
    calibration: Calibration
    signal_range: SignalRange
    pool: PromptPool
    rng: np.random.Generator
    step: int
    group_size: int

    @property
    def shelf(self) -> Shelf | None: ...

    def learn(self, groups: Groups, prediction: Prediction) -> None: ...


class Source:
    """A way to get groups: `fill` adds some to the step's, `finish` keeps what later steps need.

    A source that keeps groups for later steps has a `shelf`; the host then keeps their completions.
    """

    shelf: Shelf | None = None
    equal_groups = True
    """All groups of a batch have as many completions."""

    def bind(self, owner: Owner, num_groups: int) -> None:
        """Takes up a run whose batches hold `num_groups` groups; the estimator and the pool are ready.

        Raises:
            ValueError: the source's numbers do not go with the run.
        """
        self.owner = owner
        if self.shelf is not None:
            self.shelf.bind(owner.pool)

    def fill(self, filling: Filling, host: Host) -> None:
        """Proposes prompts, has the host roll them out, and lets every graded group teach."""
        raise NotImplementedError

    def complete(self, batch: Batch, host: Host) -> Batch:
        """The batch with what its chosen groups still lack."""
        return batch

    def finish(self, batch: Batch) -> None:
        """Ends the step."""
        if self.shelf is not None:
            self.shelf.store(batch)

    def numbers(self) -> dict[str, Any]:
        """Its settings that are told apart on resume."""
        return {}

    def metrics(self) -> dict[str, float]:
        return {} if self.shelf is None else self.shelf.metrics()

    def state_dict(self) -> dict[str, Any]:
        return {} if self.shelf is None else {"shelf": self.shelf.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.shelf is not None:
            self.shelf.load_state_dict(state["shelf"])
