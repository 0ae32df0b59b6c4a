"""The step without a barrier: groups are ordered as room frees, teach as they come, and wait for training.

    ordered -> in flight -> graded -> ready -> given to the loader -> trained
                  |            |         |
                 lost       dropped    stale

Every group ends in one row of the ledger, with the optimizer step in which its fate was settled. Free of
torch and of TRL; the worker (worker.py) calls it under a lock.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.filling import UnfilledBatchError
from rlkit.curriculum.filters import KEPT, UNSCORABLE
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.async_trl.group import Group, graded, restored
from rlkit.hosts.async_trl.journal import LOST, STALE, UNUSED, Journal
from rlkit.hosts.async_trl.messages import Order, Outcome
from rlkit.hosts.async_trl.orders import one_by_one, proposal_of
from rlkit.hosts.async_trl.replayed import Replayed
from rlkit.hosts.async_trl.settled import Settled, as_settled
from rlkit.types import Proposal


class Flow:
    """What a curriculum does in an asynchronous run.

    Args:
        curriculum: bound; its sources are `Rounds`, and `Replay` perhaps.
        journal: takes each order before its rollout.
        num_groups: groups of an optimizer step.
        max_staleness: policy versions that a group may be old when it goes to the update.
        signal: position of the curriculum's reward among the functions; None for the total.
        make_sample: makes a row of the update of its fields, when a run resumes.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        journal: Journal,
        *,
        num_groups: int,
        max_staleness: int,
        signal: int | None,
        make_sample: Callable[..., Any],
    ):
        self.curriculum, self.journal, self.signal = curriculum, journal, signal
        self.num_groups, self.max_staleness, self.make_sample = num_groups, max_staleness, make_sample
        rounds, *others = curriculum.sources
        assert isinstance(rounds, Rounds)
        self.rounds = rounds
        self.replayed = Replayed(others[0]) if others else None
        self.room = max_staleness * num_groups
        """Groups in flight and ready at most: more would be too old when their turn comes."""
        self.version = 0
        self.num_trained = 0
        """Groups trained on since the run began; of which some again."""
        self.num_replayed = 0
        self.num_ungraded = 0
        """Groups in a row of which no completion could be scored."""
        self.in_flight: dict[int, Group] = {}
        self.ready: deque[Group] = deque()
        self._again: list[Proposal] = []
        self._given: deque[Group] = deque()
        self._settled: list[Group] = []
        self._num_dropped = 0
        """By the filter, since a step's worth of groups was begun."""

    # -- what the rollout process does

    def propose(self) -> list[Order]:
        """Orders for the room there is, of prompts that neither are in flight nor wait for their update.

        Raises:
            UnfilledBatchError: no prompt of the pool can be rolled out, and nothing is on its way.
        """
        room = self.room - len(self.in_flight) - len(self.ready)
        if room <= 0:
            return []
        proposals, self._again = self._again[:room], self._again[room:]
        if len(proposals) < room:
            busy = [group.index for group in (*self.in_flight.values(), *self.ready)]
            busy += [int(proposal.index_P[0]) for proposal in proposals]
            fresh = self.rounds.propose(room - len(proposals), np.array(busy, dtype=np.int64))
            proposals += list(one_by_one(fresh))
        if not (proposals or self.in_flight or self.ready or self._given):
            raise UnfilledBatchError(
                f"no prompt is left that could be rolled out: the pool has {len(self.curriculum.pool)}, of "
                f"which {self.curriculum.pool.usable.num_bad} cannot be used; add prompts, or mend those"
            )
        return [self._order(proposal) for proposal in proposals]

    def _order(self, proposal: Proposal) -> Order:
        group = self._group(self.journal.next_number, proposal)
        count = int(proposal.count_P[0])
        self.journal.write(group.key, count, self.curriculum.step)
        self.in_flight[group.number] = group
        (row,) = self.curriculum.pool.take(proposal.index_P)
        return Order(group.number, row, count)

    def _group(self, number: int, proposal: Proposal) -> Group:
        return Group(number, int(self.curriculum.pool.key_N[proposal.index_P[0]]), proposal)

    def graded(self, outcome: Outcome) -> None:
        """The group teaches at once; the filter keeps it for the update, or drops it.

        Raises:
            ValueError: the preset depends on the signal's range, and the run's first signals leave it.
        """
        group = self.in_flight.pop(outcome.number)
        group.version, group.samples = outcome.version, outcome.samples
        group.groups = graded(group.proposal, outcome, self.signal)
        group.staleness = self.version - outcome.version
        (group.reason,) = self.rounds.observe(group.groups.older(group.staleness), group.proposal)
        self.num_ungraded = 0 if group.groups.count_P[0] else self.num_ungraded + 1
        if group.reason == KEPT and not group.samples:  # empty completions alone
            group.reason = UNSCORABLE
        self._num_dropped += group.reason != KEPT
        (self.ready if group.reason == KEPT else self._settled).append(group)

    def lose(self, numbers: list[int], again: bool = True) -> None:
        """These groups in flight will not come back; their prompts are rolled out `again`, before others."""
        for number in numbers:
            group = self.in_flight.pop(number)
            group.reason = LOST
            self._settled.append(group)
            if again:
                self._again.append(group.proposal)

    # -- what the trainer does

    def give(self) -> Any | None:
        """The next row for the update, or None while there is none.

        Raises:
            UnfilledBatchError: the filter has dropped all groups of a step's rounds, and fill is "error".
        """
        self._drop_stale()
        if not self.ready:
            self._top_up()
        if not self.ready:
            return None
        group = self.ready[0]
        sample = group.samples[group.num_given]
        group.num_given += 1
        self._given.append(group)
        if group.num_given == 1 and self._num_begun % self.num_groups == 0:
            self._num_dropped = 0
        if group.num_given == len(group.samples):
            self.ready.popleft()
        return sample

    @property
    def _num_begun(self) -> int:
        """Groups that were trained on, or that the loader has begun with."""
        return self.num_trained + len({group.number for group in self._given})

    def _drop_stale(self) -> None:
        while self.ready and self.version - self.ready[0].version > self.max_staleness:
            group = self.ready.popleft()
            group.staleness = self.version - group.version
            self._drop(group, STALE)

    def _drop(self, group: Group, reason: str) -> None:
        """A group that waited; of one that the update has begun, the rest."""
        if group.num_given or group.is_begun:
            group.samples, group.is_whole = group.samples[: group.num_given], False
            self._settle_if_trained(group)
        else:
            group.reason = reason
            self._settled.append(group)

    def _top_up(self) -> None:
        """Where the rounds of a step are used up, a group trains again, or the most varied dropped one."""
        patience = self.rounds.max_rounds * self.num_groups
        hopeless = self.num_ungraded >= self.num_groups
        if self._num_dropped < patience and not hopeless:
            return
        if self.replayed is not None:
            waiting = [group.index for group in (*self.ready, *self._given)]
            drawn = self.replayed.draw(waiting, self.version - self.max_staleness, self.curriculum.rng)
            if drawn is not None:
                self.ready.append(drawn)
                return
        if self.curriculum.fill == "error":
            raise UnfilledBatchError(
                f"the filter dropped {self._num_dropped} groups, and a step's {self.num_groups} are not "
                "full; raise max_rounds, widen the filter, or set fill=top_up"
            )
        dropped = [
            group
            for group in self._settled
            if group.samples and self.version - group.version <= self.max_staleness and group.reason != STALE
        ]
        if not dropped:
            return
        best = max(dropped, key=lambda group: float(np.nan_to_num(group.outcome.variance_P[0], nan=-1.0)))
        self._settled.remove(best)
        self.ready.append(best)

    def trained(self, num: int) -> None:
        """The next `num` rows of those given have been in the update: they come in the order of giving."""
        for _ in range(num):
            group = self._given.popleft()
            group.num_trained += 1
            group.is_begun = True
            group.staleness = self.version - group.version
            self._settle_if_trained(group)

    def _settle_if_trained(self, group: Group) -> None:
        if group.num_trained == len(group.samples):
            self._settled.append(group)
            self.num_trained += 1
            self.num_replayed += group.is_replay
            if self.replayed is not None:
                self.replayed.keep(group)

    def settle(self) -> Settled | None:
        """Ends an optimizer step, with what was settled since the last one; None where that is nothing."""
        groups, self._settled = self._settled, []
        if not groups:
            return None
        settled = as_settled(groups)
        self.curriculum.finish(settled.batch)
        return settled

    def end(self) -> Settled | None:
        """What is left when the training ends: in flight and lost, or ready and unused."""
        self.lose(list(self.in_flight))
        left = {group.number: group for group in (*self._given, *self.ready)}
        for group in left.values():
            if not group.is_begun:  # of the others, the row says that they were trained on
                group.reason = UNUSED
        groups, self._settled = [*self._settled, *left.values()], []
        return as_settled(groups) if groups else None

    # -- what a checkpoint holds

    def state_dict(self) -> dict[str, Any]:
        waiting = {group.number: group for group in (*self._given, *self.ready)}
        return {
            "next_number": self.journal.next_number,
            "version": self.version,
            "num_trained": self.num_trained,
            "num_replayed": self.num_replayed,
            "num_dropped": self._num_dropped,
            "num_ungraded": self.num_ungraded,
            "waiting": [group.state_dict() for group in waiting.values()],
            "in_flight": [group.state_dict() for group in self.in_flight.values()],
            "again": [self._group(-1, proposal).state_dict() for proposal in self._again],
            "settled": [{**group.state_dict(), "samples": []} for group in self._settled],
        }

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Goes on from a checkpoint, or (None) from the start, after processes that died.

        Groups that waited for their update wait again, without the rows that were trained on. Those in flight
        are lost, and their prompts come again first. What was ordered after the checkpoint is lost, too: the
        curriculum is back where it had not proposed it. A prompt that the data lacks does not come again,
        and its group waits no more.
        """
        first_lost = 0 if state is None else state["next_number"]
        if state is not None:
            self.version = state["version"]
            self.num_trained, self.num_replayed = state["num_trained"], state["num_replayed"]
            self._num_dropped, self.num_ungraded = state["num_dropped"], state["num_ungraded"]
            read = {
                name: [restored(group, self.curriculum.pool, self.make_sample) for group in state[name]]
                for name in ("waiting", "in_flight", "again", "settled")
            }
            self._settled = read["settled"]
            for group in read["waiting"]:
                if group.index < 0:
                    self._drop(group, UNUSED)
                else:
                    self.ready.append(group)
            self._again = [group.proposal for group in read["again"] if group.index >= 0]
            self.in_flight = {group.number: group for group in read["in_flight"]}
            for group in read["in_flight"]:
                self.lose([group.number], again=group.index >= 0)
        for entry in self.journal.entries[first_lost:]:
            proposal = proposal_of(entry, self.curriculum.pool)
            self._settled.append(Group(entry["group"], entry["key"], proposal, LOST))
