"""A group between its order and its row in the ledger."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rlkit.curriculum.filling import AGAIN, as_proposed
from rlkit.hosts.async_trl.messages import Outcome
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction, Proposal

PLAIN_FIELDS = ("number", "key", "reason", "version", "staleness", "is_begun", "is_replay")


@dataclass
class Group:
    """One prompt's completions on their way.

    `key` is the prompt's in the pool; its index there is -1 where a resumed run's data has it no more.
    `version` is the policy's when its rollout began, `staleness` how many versions later it was trained on or
    dropped. Of `samples`, the rows of the update, the first `num_given` are with the trainer's loader, and
    the first `num_trained` have been in an update; `is_begun` says so of rows before a resume, too. It is
    not `is_whole` where rows were left out, and `is_replay` where it trains again, under its old number.
    """

    number: int
    key: int
    proposal: Proposal
    reason: str = ""
    version: int = 0
    staleness: int = 0
    groups: Groups | None = None
    samples: list[Any] = field(default_factory=list)
    num_given: int = 0
    num_trained: int = 0
    is_begun: bool = False
    is_whole: bool = True
    is_replay: bool = False

    @property
    def index(self) -> int:
        return int(self.proposal.index_P[0])

    @property
    def outcome(self) -> Groups:
        """Its completions, older where it is a replay; where they are lost, as many unscorable ones."""
        groups = ungraded(self.proposal) if self.groups is None else self.groups
        return groups.older(max(self.staleness, 1)) if self.is_replay else groups

    def again(self) -> "Group":
        """The same completions for the update once more."""
        return Group(
            self.number,
            self.key,
            as_proposed(self.outcome),
            AGAIN,
            self.version,
            groups=self.groups,
            samples=self.samples,
            is_replay=True,
        )

    def state_dict(self) -> dict[str, Any]:
        """All but what was trained on already."""
        state = {name: getattr(self, name) for name in PLAIN_FIELDS}
        return {
            **state,
            "proposal": asdict(self.proposal),
            "groups": None if self.groups is None else asdict(self.groups),
            "samples": [asdict(sample) for sample in self.samples[self.num_trained :]],
        }


def restored(state: dict[str, Any], pool: PromptPool, make_sample: Any) -> Group:
    """The group of which `state_dict` was made, with its prompt's index in this pool.

    `make_sample` makes a row of the update of its fields.
    """
    here = {"index_P": pool.find(np.array([state["key"]], dtype=np.uint64))}
    prediction = Prediction(**state["proposal"]["prediction"])
    return Group(
        **{name: state[name] for name in PLAIN_FIELDS},
        proposal=Proposal(**{**state["proposal"], **here, "prediction": prediction}),
        groups=None if state["groups"] is None else Groups(**{**state["groups"], **here}),
        samples=[make_sample(**sample) for sample in state["samples"]],
        is_whole=not state["is_begun"],
    )


def graded(proposal: Proposal, outcome: Outcome, signal: int | None) -> Groups:
    """The outcome as a group; the total reward is the sum of all functions, as in TRL's asynchronous trainer.

    Args:
        signal: position of the curriculum's reward among the F functions; None for the total.
    """
    reward_FG = outcome.reward_FG
    total_G = np.nansum(reward_FG, axis=0)
    total_G[np.isnan(reward_FG).all(axis=0)] = np.nan
    signal_G = total_G if signal is None else reward_FG[signal]
    return Groups(
        proposal.index_P,
        signal_G[None].astype(float),
        total_G[None].astype(float),
        outcome.length_G[None],
        outcome.generation_seconds,
        outcome.grading_seconds,
    )


def ungraded(proposal: Proposal) -> Groups:
    """The completions that were ordered, none of which came back."""
    nothing_PG = np.full((1, int(proposal.count_P[0])), np.nan)
    return Groups(proposal.index_P, nothing_PG, nothing_PG, np.zeros(nothing_PG.shape, dtype=np.int64))
