"""Rounds of fresh prompts: some candidates are chosen and rolled out, the filter keeps or drops them."""

import logging
import math
import time
from typing import Any

import numpy as np

from rlkit.curriculum.allocation import Allocation
from rlkit.curriculum.filling import Filling
from rlkit.curriculum.filters import KEPT, WAITING, Filter, keep_all
from rlkit.curriculum.selectors import Selector, in_order
from rlkit.curriculum.sources.candidates import CandidateStream
from rlkit.curriculum.sources.exploration import Exploration
from rlkit.curriculum.sources.fallback import Fallback
from rlkit.curriculum.sources.source import Host, Owner, Source
from rlkit.prompts.pool import Admission
from rlkit.types import Batch, Groups, Prediction, Proposal

logger = logging.getLogger(__name__)
KEEP_RATE_MEMORY = 0.8
"""Weight of the past in the running keep rate, which sizes the rounds of a filtered step."""


class Rounds(Source):
    """Rolls out until the batch is full, `max_rounds` times at most.

    Args:
        selector: predictions -> positions of the candidates to roll out.
        filter: graded groups -> "kept" or a drop reason each.
        candidates: candidates scored for each prompt rolled out (the k of PCL's k*m).
        max_rounds: rounds of rollouts before a step stops refilling.
        admission: the probability that a prompt becomes a candidate when the stream reaches it, usually a
            method of the estimator; None admits all.
        oversample: prompts that a round may roll out at most, as a multiple of the batch; the first round of
            a run does.
        allocation: how a round's completions are shared out between its prompts; None gives all alike.
        exploration: places of each round that are taken past admission and selector; None for none.
        fallback_steps: steps after which predictions without skill do not choose; 0 for a selector that
            follows no value model. Without an exploration share their skill is not known.
    """

    def __init__(
        self,
        selector: Selector = in_order,
        filter: Filter = keep_all,
        *,
        candidates: int = 1,
        max_rounds: int = 1,
        admission: Admission | None = None,
        oversample: float = 1.0,
        allocation: Allocation | None = None,
        exploration: Exploration | None = None,
        fallback_steps: int = 0,
    ):
        self.selector, self.filter = selector, filter
        self.candidates, self.max_rounds = candidates, max_rounds
        self.oversample, self.allocation = oversample, allocation
        self.exploration = exploration or Exploration()
        self.fallback = Fallback(fallback_steps if self.exploration.share > 0 else 0)
        self.equal_groups = allocation is None
        self._keep_rate = 1.0 / oversample
        self._stream = CandidateStream(admission)

    def bind(self, owner: Owner, num_groups: int) -> None:
        super().bind(owner, num_groups)
        one_round = self.max_rounds == 1 and self.oversample == 1 and owner.shelf is None
        if self.allocation is not None and not one_round:
            raise ValueError(
                f"allocation shares out one round of exactly a batch, and curriculum={owner.name!r} may "
                f"refill it (max_rounds={self.max_rounds}, oversample={self.oversample}) or keeps groups for "
                "later steps; set both to 1 where it keeps none, or allocation=equal"
            )
        self._stream.bind(owner.pool)
        self.exploration.bind(owner.pool)
        if self.candidates * num_groups > len(owner.pool):
            clamped = len(owner.pool) // num_groups
            logger.warning(
                "candidates (%d) times the %d prompts of a batch is more than the pool's %d prompts; "
                "candidates is clamped to %d",
                self.candidates,
                num_groups,
                len(owner.pool),
                clamped,
            )
            self.candidates = clamped
        num_admissible = self._stream.num_admissible()
        if num_admissible < num_groups:
            raise ValueError(
                f"curriculum={owner.name!r} admits {num_admissible} of the pool's {len(owner.pool)} prompts, "
                f"fewer than the {num_groups} of one batch (generation_batch_size / num_generations); add "
                "prompts, widen what it admits, or make the batch smaller"
            )

    def fill(self, filling: Filling, host: Host) -> None:
        for _ in range(self.max_rounds):
            if filling.missing == 0 or filling.hopeless:
                return
            places = filling.num_groups - filling.replayed
            size = host.whole(self.round_size(filling.missing, places), self.first_count)
            proposal = host.agree(self.propose(size, exclude=filling.index))
            if len(proposal.index_P) == 0:
                return
            self.add(filling, proposal, self.rollout(proposal, filling, host))

    def rollout(self, proposal: Proposal, filling: Filling, host: Host) -> Groups:
        return host.rollout(proposal)

    def add(self, filling: Filling, proposal: Proposal, groups: Groups) -> None:
        start = time.perf_counter()
        reason_P = self.observe(groups, proposal)
        filling.add(proposal, groups, reason_P, time.perf_counter() - start)

    def observe(self, groups: Groups, proposal: Proposal) -> np.ndarray:
        """Every graded group teaches, kept or not; one that waits for more completions when it is whole.

        Returns what becomes of each: "kept", or a drop reason.
        """
        reason_P = self.judge(groups)
        unchosen = np.flatnonzero(proposal.unchosen_P)
        self.fallback.observe(proposal.prediction.take(unchosen), groups.take(unchosen))
        whole = np.flatnonzero(reason_P != WAITING)
        self.learn(groups.take(whole), proposal.prediction.take(whole))
        # A round without candidates was screened in an earlier step, where it counted.
        if proposal.num_candidates and not np.isnan(groups.signal_PG).all():  # of which nothing is known
            passed = float(np.isin(reason_P, (KEPT, WAITING)).mean())
            self._keep_rate = KEEP_RATE_MEMORY * self._keep_rate + (1 - KEEP_RATE_MEMORY) * passed
        return reason_P

    def learn(self, groups: Groups, prediction: Prediction) -> None:
        """What whole groups teach."""
        self.owner.learn(groups, prediction)

    def judge(self, groups: Groups) -> np.ndarray:
        """What the filter says of each group."""
        return self.filter(groups)

    def propose(self, num: int, exclude: np.ndarray) -> Proposal:
        """Scores the next candidates of the stream, outside of `exclude`, and chooses `num` of them."""
        start = time.perf_counter()
        explored = self.exploration.draw(num, exclude, self.owner.rng)
        skipped = len(explored)
        rest = self.draw(num - skipped, self.candidates * num - skipped, np.concatenate([exclude, explored]))
        candidate_N = np.concatenate([explored, rest])
        if len(candidate_N) == 0:
            return Proposal(candidate_N, candidate_N, Prediction.neutral(0), 0, time.perf_counter() - start)
        prediction = self.owner.estimator.predict(candidate_N)
        hints, share_N, offered = self.owner.hints, np.zeros(len(candidate_N)), prediction
        if hints is not None:
            share_N, offered = hints.offer(candidate_N, prediction, self.owner.rng, self.candidates > 1)
        selector = in_order if self.fallback.active else self.selector
        by_rule = offered.take(np.arange(skipped, len(candidate_N)))
        ruled = skipped + selector(by_rule, num - skipped, self.owner.rng)
        chosen = np.concatenate([np.arange(skipped), ruled])
        index_P, share_P, prediction = candidate_N[chosen], share_N[chosen], prediction.take(chosen)
        if hints is not None:
            share_P, prediction = hints.settle(index_P, share_P, prediction)
        unchosen_P = np.full(len(chosen), self.fallback.active) | (chosen < skipped)
        count_P, seconds = self._counts(prediction), time.perf_counter() - start
        return Proposal(index_P, count_P, prediction, len(candidate_N), seconds, share_P, unchosen_P)

    def draw(self, num: int, wanted: int, exclude: np.ndarray) -> np.ndarray:
        """`wanted` candidates for `num` places of a round."""

        def variance(index_N: np.ndarray) -> np.ndarray:
            return self.owner.estimator.predict(index_N).variance_N

        return self._stream.draw(wanted, num, exclude, variance, self.owner.rng)

    @property
    def first_count(self) -> int:
        """Completions that a prompt gets when it is first rolled out, on average."""
        return self.owner.group_size

    def _counts(self, prediction: Prediction) -> np.ndarray:
        num = len(prediction.mean_N)
        if self.allocation is not None:
            return self.allocation(prediction, num * self.owner.group_size)
        return np.full(num, self.first_count)

    def round_size(self, missing: int, places: int) -> int:
        """Prompts to roll out for about `missing` groups that pass, `oversample` times `places` at most."""
        most = math.ceil(self.oversample * places)
        return min(most, math.ceil(missing / max(self._keep_rate, 0.1)))

    def finish(self, batch: Batch) -> None:
        super().finish(batch)
        self.fallback.finish()

    def numbers(self) -> dict[str, Any]:
        return {"candidates": self.candidates, "max_rounds": self.max_rounds}

    def metrics(self) -> dict[str, float]:
        return {**super().metrics(), **self._stream.metrics(), **self.fallback.metrics()}

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "keep_rate": self._keep_rate,
            "stream": self._stream.state_dict(),
            "exploration": self.exploration.state_dict(),
            "fallback": self.fallback.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._keep_rate = state["keep_rate"]
        self._stream.load_state_dict(state["stream"])
        self.exploration.load_state_dict(state["exploration"])
        self.fallback.load_state_dict(state["fallback"])
