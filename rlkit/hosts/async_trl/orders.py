"""Orders made of what a round proposes, of the journal's lines, and of another folder's checkpoint."""

from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.prompts.pool import PromptPool
from rlkit.types import Prediction, Proposal


def ordered_anew(state: dict[str, Any]) -> dict[str, Any]:
    """Another folder's state, for a run without a journal: what waited or was in flight is ordered here.

    What was trained on in part is not.
    """
    waiting = [group for group in state["waiting"] if not (group["is_begun"] or group["is_replay"])]
    again = [*state["again"], *state["in_flight"], *waiting]
    return {**state, "next_number": 0, "again": again, "waiting": [], "in_flight": [], "settled": []}


def one_by_one(proposal: Proposal) -> list[Proposal]:
    """A proposal for each prompt; the first has the candidates, all have a share of the seconds."""
    num = len(proposal.index_P)
    return [
        replace(
            proposal.take(np.array([position])),
            num_candidates=0 if position else proposal.num_candidates,
            seconds=proposal.seconds / num,
        )
        for position in range(num)
    ]


def proposal_of(entry: dict[str, Any], pool: PromptPool) -> Proposal:
    """That of a journal's line; what was predicted is gone."""
    index_P = pool.find(np.array([entry["key"]], dtype=np.uint64))
    nothing_N = np.full(1, np.nan)
    prediction = Prediction(nothing_N, nothing_N, nothing_N)
    return Proposal(index_P, np.array([entry["count"]]), prediction, 0, 0.0)
