"""Groups whose fate is settled, as the batch that the curriculum, the ledger and the funnel know."""

from dataclasses import dataclass

import numpy as np

from rlkit.hosts.async_trl.group import Group
from rlkit.types import REPLAYED, Batch, Groups, Prediction


@dataclass(frozen=True)
class Settled:
    """The groups whose fate was settled since the last step, with their numbers, their prompts' keys and, in
    policy versions, their ages when they were trained on or dropped."""

    batch: Batch
    number_P: np.ndarray
    key_P: np.ndarray
    staleness_P: np.ndarray


def as_settled(groups: list[Group]) -> Settled:
    proposals = [group.proposal for group in groups]
    trained_P = np.array([group.is_begun for group in groups])
    batch = Batch(
        groups=Groups.concatenate([group.outcome for group in groups]),
        prediction=Prediction(
            *(
                np.concatenate([getattr(proposal.prediction, name) for proposal in proposals])
                for name in ("mean_N", "variance_N", "error_N")
            )
        ),
        round_P=np.array([REPLAYED if group.is_replay else 0 for group in groups]),
        reason_P=np.array([group.reason for group in groups], dtype=object),
        chosen_B=np.flatnonzero(trained_P),
        weight_B=np.ones(int(trained_P.sum())),
        num_candidates=sum(proposal.num_candidates for proposal in proposals),
        num_rounds=1,
        fill="full",
        selection_seconds=sum(proposal.seconds for proposal in proposals),
    )
    return Settled(
        batch,
        np.array([group.number for group in groups]),
        np.array([group.key for group in groups], dtype=np.uint64),
        np.array([group.staleness for group in groups]),
    )
