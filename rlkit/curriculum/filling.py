"""The graded groups of a step so far, and the batch that they end in."""

import numpy as np

from rlkit.curriculum.filters import AGAIN, KEPT, REFERENCE
from rlkit.types import REPLAYED, Batch, Groups, Prediction, Proposal


class UnfilledBatchError(RuntimeError):
    """A batch could not be filled, and nothing was left to fill it with or the fill policy is "error"."""


class Filling:
    """What the sources of a step have rolled out, round after round, for a batch of `num_groups`."""

    def __init__(self, num_groups: int):
        self.num_groups = num_groups
        self._rounds: list[tuple[Proposal, Groups, np.ndarray, float]] = []

    def add(self, proposal: Proposal, groups: Groups, reason_P: np.ndarray, seconds: float = 0.0) -> None:
        """Takes in a round's groups, what became of each, and the seconds that learning from them took."""
        self._rounds.append((proposal, groups, reason_P, seconds))

    def replay(self, groups: Groups) -> None:
        """Takes in groups of earlier steps for places that are still free."""
        if len(groups):
            self.add(as_proposed(groups), groups, np.full(len(groups), AGAIN, dtype=object))

    @property
    def index(self) -> np.ndarray:
        """Pool indices of the groups that may be trained on; a reference may yet be rolled out again."""
        parts = (proposal.index_P[reason_P != REFERENCE] for proposal, _, reason_P, _ in self._rounds)
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    @property
    def missing(self) -> int:
        """Groups still wanted."""
        wanted = (KEPT, AGAIN)
        kept = sum(int(np.isin(reason_P, wanted).sum()) for _, _, reason_P, _ in self._rounds)
        return max(self.num_groups - kept, 0)

    @property
    def replayed(self) -> int:
        """Places that groups of earlier steps have."""
        return sum(int((reason_P == AGAIN).sum()) for _, _, reason_P, _ in self._rounds)

    @property
    def hopeless(self) -> bool:
        """Prompts for a batch were rolled out, and nothing could be graded: more would cost for nothing."""
        fresh = [groups.signal_PG[groups.age_PG == 0] for _, groups, _, _ in self._rounds]
        signal = np.concatenate([np.empty(0), *fresh])
        return len(signal) > 0 and bool(np.isnan(signal).all()) and len(self.index) >= self.num_groups

    def finish(self, fill: str) -> Batch:
        """The batch: kept groups, first come first served, then replayed ones, then what `fill` says."""
        proposals, graded, reasons, seconds = zip(*self._rounds, strict=True)
        groups, reason_P = Groups.concatenate(list(graded)), np.concatenate(reasons).astype(object)
        round_P = np.repeat(np.arange(len(graded)), [len(part) for part in graded])
        replayed_P = reason_P == AGAIN
        num_rounds = len(graded) - len(np.unique(round_P[replayed_P]))
        round_P[replayed_P] = REPLAYED
        kept = np.flatnonzero(reason_P == KEPT)
        chosen, surplus = kept[: self.num_groups], kept[self.num_groups :]
        reason_P[surplus] = "surplus"
        chosen = np.concatenate([chosen, np.flatnonzero(replayed_P)])
        weight = np.ones(self.num_groups)
        missing = self.num_groups - len(chosen)
        if missing:
            chosen = np.concatenate([chosen, _best_dropped(groups, reason_P)[:missing]])
        if missing and fill == "shrink":
            weight[self.num_groups - missing :] = 0.0
        return Batch(
            groups=groups,
            prediction=_concatenate([proposal.prediction for proposal in proposals]),
            round_P=round_P,
            reason_P=reason_P,
            chosen_B=chosen,
            weight_B=weight,
            num_candidates=sum(proposal.num_candidates for proposal in proposals),
            num_rounds=num_rounds,
            fill=fill if missing else "full",
            selection_seconds=sum(seconds) + sum(proposal.seconds for proposal in proposals),
        )


def as_proposed(groups: Groups) -> Proposal:
    """Groups of earlier steps as a round without candidates and, so far, without completions."""
    num = len(groups)
    return Proposal(groups.index_P, np.zeros(num, dtype=int), Prediction.neutral(num), 0, 0.0, groups.share_P)


def _best_dropped(groups: Groups, reason_P: np.ndarray) -> np.ndarray:
    """Dropped groups, most varied signal first, unscorable ones last. References are none of them."""
    dropped = np.flatnonzero(~np.isin(reason_P, (KEPT, AGAIN, REFERENCE)))
    variance = np.nan_to_num(groups.variance_P[dropped], nan=-1.0)
    return dropped[np.argsort(-variance, kind="stable")]


def _concatenate(predictions: list[Prediction]) -> Prediction:
    return Prediction(
        np.concatenate([part.mean_N for part in predictions]),
        np.concatenate([part.variance_N for part in predictions]),
        np.concatenate([part.error_N for part in predictions]),
    )
