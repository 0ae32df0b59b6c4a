"""One step of collecting: the paragraph that every host runs, free of torch and of TRL.

A host is whatever turns chosen prompts into graded groups: the TRL trainer, or the simulator.
"""

import time
from dataclasses import replace
from typing import Protocol

import numpy as np

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.filters import KEPT, REFERENCE
from rlkit.types import REPLAYED, Batch, Groups, Prediction, Proposal


class Host(Protocol):
    """Turns proposals into graded groups."""

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


class Writer(Protocol):
    """Records a batch with all its graded groups."""

    def write(self, batch: Batch) -> None: ...


class NoLedger:
    """Records nothing: the processes beside the main one, and simulations that want none."""

    step = 1

    def write(self, batch: Batch) -> None:
        pass

    def flush(self) -> None:
        pass


class UnfilledBatchError(RuntimeError):
    """A batch could not be filled, and nothing was left to fill it with or the fill policy is "error"."""


def collect(curriculum: Curriculum, host: Host, num_groups: int, ledger: Writer) -> Batch:
    """Rolls out until `num_groups` groups passed the filter, or rounds or prompts run out. Never dies of it.

    Raises:
        UnfilledBatchError: too few groups passed and the curriculum's fill policy is "error", or too few
            screened prompts are left to complete them on several processes; or the pool has too few prompts
            that can be rolled out.
    """
    filling = Filling(num_groups)
    started = curriculum.started(num_groups)
    if len(started):
        _learn(curriculum, host, filling, _as_proposed(started), started)
    _probe(curriculum, host, filling)
    for _ in range(curriculum.max_rounds):
        if filling.missing == 0:
            break
        num = curriculum.round_size(filling.missing, num_groups)
        size = host.whole(num, curriculum.first_count)
        proposal = host.agree(curriculum.propose(size, exclude=filling.index))
        if len(proposal.index_P) == 0:
            break
        _learn(curriculum, host, filling, proposal, host.rollout(proposal))
    replayed = _replayed(curriculum, host, filling)
    if len(filling.index) + len(replayed) < num_groups:
        raise UnfilledBatchError(
            f"{len(filling.index)} prompts could be rolled out for a batch of {num_groups}: the pool has "
            f"{len(curriculum.pool)}, of which {curriculum.pool.usable.num_bad} cannot be used (the warnings "
            "say why); add prompts, or mend those"
        )
    batch = filling.finish(curriculum.fill, replayed)
    batch = _completed(curriculum, host, batch)
    curriculum.finish(batch)
    ledger.write(batch)
    if batch.fill == "error":
        raise UnfilledBatchError(_explain(batch, num_groups))
    return batch


def _learn(
    curriculum: Curriculum, host: Host, filling: "Filling", proposal: Proposal, groups: Groups
) -> None:
    """What is promising of a screened round gets the rest of its completions; then all groups teach."""
    if curriculum.screen is not None:
        num = host.whole(filling.missing, curriculum.group_size - curriculum.screen)
        positions, rest = curriculum.rest(groups, num)
        groups = _extended(host, groups, positions, rest)
    start = time.perf_counter()
    reasons = curriculum.observe(groups, proposal)
    filling.add(proposal, groups, reasons, time.perf_counter() - start)


def _extended(host: Host, groups: Groups, positions: np.ndarray, rest: Proposal) -> Groups:
    rest = host.agree(rest)
    num = len(rest.index_P)
    return groups.extended(positions[:num], host.rollout(rest)) if num else groups


def _completed(curriculum: Curriculum, host: Host, batch: Batch) -> Batch:
    """Groups that only fill the batch up after a screen get the rest of their completions too."""
    size_P = batch.groups.size_P
    short = batch.chosen_B[size_P[batch.chosen_B] < curriculum.group_size]
    if curriculum.screen is None or len(short) == 0:
        return batch
    # Equal shares for all processes may take more groups than are short.
    others = np.setdiff1d(np.flatnonzero(size_P < curriculum.group_size), short)
    num = host.whole(len(short), curriculum.group_size - curriculum.screen)
    positions = np.concatenate([short, others])[:num]
    neutral = Prediction.neutral(len(positions))
    missing_P = curriculum.group_size - size_P[positions]
    rest = Proposal(batch.groups.index_P[positions], missing_P, neutral, 0, 0.0)
    groups = _extended(host, batch.groups, positions, rest)
    if (groups.size_P[short] < curriculum.group_size).any():
        raise UnfilledBatchError(
            f"{len(short)} screened groups are to be completed and the processes cannot share their "
            f"completions equally; choose screen ({curriculum.screen}) so that what is left of a group of "
            f"{curriculum.group_size} is a multiple of the number of processes"
        )
    return replace(batch, groups=groups)


def _replayed(curriculum: Curriculum, host: Host, filling: "Filling") -> Groups:
    """Groups of earlier steps for the places that are still free, the main process's choice."""
    drawn = curriculum.replayed(filling.missing, filling.index)
    if len(drawn) == 0:
        return drawn
    return curriculum.shelf.of(host.agree(_as_proposed(drawn)).index_P)  # type: ignore[union-attr]


def _as_proposed(groups: Groups) -> Proposal:
    """Groups of earlier steps as a round without candidates and, so far, without completions."""
    num = len(groups)
    return Proposal(groups.index_P, np.zeros(num, dtype=int), Prediction.neutral(num), 0, 0.0)


def _probe(curriculum: Curriculum, host: Host, filling: "Filling") -> None:
    """Rolls out what the curriculum only wants to look at, where it does at this step."""
    size = curriculum.probe_size(filling.num_groups)
    if size == 0:
        return
    proposal = host.agree(curriculum.propose_probe(host.whole(size, curriculum.group_size)))
    if len(proposal.index_P) == 0:
        return
    groups = host.rollout(proposal)
    start = time.perf_counter()
    reasons = curriculum.observe_probe(groups)
    filling.add(proposal, groups, reasons, time.perf_counter() - start)


class Filling:
    """The graded groups of a step so far."""

    def __init__(self, num_groups: int):
        self.num_groups = num_groups
        self._rounds: list[tuple[Proposal, Groups, np.ndarray, float]] = []

    def add(self, proposal: Proposal, groups: Groups, reason_P: np.ndarray, seconds: float) -> None:
        self._rounds.append((proposal, groups, reason_P, seconds))

    @property
    def index(self) -> np.ndarray:
        """Pool indices rolled out in this step to be trained on; a reference may yet be."""
        parts = (proposal.index_P[reason_P != REFERENCE] for proposal, _, reason_P, _ in self._rounds)
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    @property
    def missing(self) -> int:
        """Groups still wanted."""
        kept = sum(int(np.sum(reason_P == KEPT)) for _, _, reason_P, _ in self._rounds)
        return max(self.num_groups - kept, 0)

    def finish(self, fill: str, replayed: Groups) -> Batch:
        """The batch: kept groups, first come first served, then replayed ones, then what `fill` says."""
        if len(replayed):
            reasons = np.full(len(replayed), "replayed", dtype=object)
            self.add(_as_proposed(replayed), replayed, reasons, 0.0)
        proposals, graded, reasons, seconds = zip(*self._rounds, strict=True)
        num_rounds = len(graded) - bool(len(replayed))
        groups, reason_P = Groups.concatenate(list(graded)), np.concatenate(reasons).astype(object)
        round_P = np.repeat(np.arange(len(graded)), [len(part) for part in graded])
        round_P[round_P == num_rounds] = REPLAYED
        kept = np.flatnonzero(reason_P == KEPT)
        chosen, surplus = kept[: self.num_groups], kept[self.num_groups :]
        reason_P[surplus] = "surplus"
        chosen = np.concatenate([chosen, np.flatnonzero(round_P == REPLAYED)])
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


def _best_dropped(groups: Groups, reason_P: np.ndarray) -> np.ndarray:
    """Dropped groups, most varied signal first, unscorable ones last. References are none of them."""
    dropped = np.flatnonzero(~np.isin(reason_P, (KEPT, "replayed", REFERENCE)))
    variance = np.nan_to_num(groups.variance_P[dropped], nan=-1.0)
    return dropped[np.argsort(-variance, kind="stable")]


def _concatenate(predictions: list[Prediction]) -> Prediction:
    return Prediction(
        np.concatenate([part.mean_N for part in predictions]),
        np.concatenate([part.variance_N for part in predictions]),
        np.concatenate([part.error_N for part in predictions]),
    )


def _explain(batch: Batch, num_groups: int) -> str:
    names, counts = np.unique(batch.reason_P.astype(str), return_counts=True)
    funnel = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    return (
        f"{batch.num_rounds} rounds of rollouts did not fill a batch of {num_groups} groups ({funnel}); "
        "raise max_rounds, widen the filter, or set fill=top_up or fill=shrink"
    )
