"""A curriculum whose trainer asks for prompts first, and tells what came of them later.

verl saves a checkpoint after the update of a batch, but before it tells the data set of that batch. So a
state is that of before the open proposal, which is then made again, and what was told of it since is in the
ledger: a resumed run goes on as if never stopped. Where the run was killed in between, that one batch,
trained on, teaches nothing, and a warning says so.
"""

import copy
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.estimators.positions import positions_among
from rlkit.curriculum.filling import Filling
from rlkit.curriculum.filters import keep_all
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.verl.groups import make_groups
from rlkit.hosts.verl.senses import Blind
from rlkit.prompts.pool import PromptPool
from rlkit.record.funnel import funnel
from rlkit.record.ledger import Ledger, StepLog, read_ledger
from rlkit.types import Batch, Groups, Proposal

logger = logging.getLogger(__name__)


class Course:
    """Proposes a batch of prompts, learns from its groups, and keeps the account of both.

    Args:
        curriculum: of one source, rounds of fresh prompts.
        pool: what it chooses from.
        batch_size, group_size: prompts of a batch, and completions of each.
        folder: gets `ledger/` and `metrics.jsonl`.

    Raises:
        ValueError: the preset needs what verl's trainer cannot do.
    """

    def __init__(
        self, curriculum: Curriculum, pool: PromptPool, batch_size: int, group_size: int, folder: Path
    ):
        self.curriculum, self.folder = curriculum, folder
        self._source = self._only_source(curriculum)
        curriculum.bind(pool, Blind(curriculum.name), batch_size, group_size)
        self._ledger: Ledger | None = None
        self._proposal: Proposal | None = None
        self._before: dict[str, Any] | None = None
        self._step = 0

    @property
    def most_rows(self) -> int:
        """Prompts that a step may ask for at most."""
        return self.curriculum.num_groups

    def rehearse(self) -> None:
        """Makes a first proposal that nobody rolls out.

        Raises:
            ValueError: the preset asks for the policy.
        """
        self._source.propose(self.curriculum.num_groups, exclude=np.empty(0, dtype=np.int64))

    def propose(self, num: int) -> np.ndarray:
        """Pool indices of the next batch.

        Raises:
            ValueError: the trainer has not told of the last batch, or another run's ledger is there.
        """
        if self._proposal is not None:
            raise ValueError(
                "verl asked for a batch before it told what came of the last (on_batch_end): this trainer "
                "draws ahead, and a curriculum cannot follow; use the synchronous one (verl.trainer.main_ppo)"
            )
        if self._ledger is None:
            self._open(generation=0)
        self._before = copy.deepcopy(self.curriculum.state_dict())
        self._proposal = self._source.propose(num, exclude=np.empty(0, dtype=np.int64))
        self._step += 1
        return self._proposal.index_P

    def learn(self, groups: Groups) -> None:
        """Takes in what came of the batch: every group teaches, and is in the ledger on the disk.

        Raises:
            ValueError: no batch is open, or the groups are not of it.
        """
        groups, proposal, _ = self._in_order(groups)
        filling = Filling(len(groups))
        filling.add(proposal, groups, self._source.observe(groups, proposal))
        self._finish(filling.finish("top_up"))  # verl has trained on all of them
        self._proposal = self._before = None

    def _finish(self, batch: Batch) -> None:
        """Ends the step; its rows are on the disk."""
        assert self._ledger is not None
        self.curriculum.finish(batch)
        self._ledger.step = self._step
        self._ledger.write(batch)
        self._ledger.flush()
        self._log.write({"step": self._step, **funnel(batch), **self.curriculum.metrics()})

    def _in_order(self, groups: Groups) -> tuple[Groups, Proposal, np.ndarray]:
        """The groups as they were proposed, their part of the proposal, and where they were among those told.

        verl balances its batches, which must not change what is learned.
        """
        proposal = self._proposal
        if proposal is None or not np.isin(groups.index_P, proposal.index_P).all():
            raise ValueError("verl told of groups that were not asked for; use one data set for one trainer")
        if len(groups) < len(proposal.index_P):
            missing = len(proposal.index_P) - len(groups)
            logger.warning("%d of %d groups did not come back from verl", missing, len(proposal.index_P))
        position_P = positions_among(proposal.index_P, groups.index_P)
        order = np.argsort(position_P)
        return groups.take(order), proposal.take(position_P[order]), order

    def state_dict(self) -> dict[str, Any]:
        """The state before the open proposal, if one is open, and its size."""
        open_size = 0 if self._proposal is None else len(self._proposal.index_P)
        return {
            "curriculum": self.curriculum.state_dict() if self._before is None else self._before,
            "open": open_size,
            "step": self._step - bool(open_size),
            "generation": 0 if self._ledger is None else self._ledger.generation,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state: makes the open proposal again, and learns what the ledger has of it.

        Raises:
            ValueError: the state is of another preset or of other data.
        """
        self.curriculum.load_state_dict(copy.deepcopy(state["curriculum"]))
        self._step, self._proposal, self._before = state["step"], None, None
        told = self._told(state["generation"])
        self._open(state["generation"], resumes=True)
        if not state["open"]:
            return
        index_P = self.propose(state["open"])
        if told is not None and np.isin(told.index_P, index_P).all():
            self.learn(told)
            return
        logger.warning(
            "step %d was trained on, and the run ended before its %d groups were told to the curriculum: "
            "they teach nothing, and are not in the ledger",
            self._step,
            len(index_P),
        )
        self._proposal = self._before = None

    def _told(self, generation: int) -> Groups | None:
        """The groups of a generation in the ledger; None where it has none."""
        table = read_ledger(self.folder / "ledger")
        rows = table.filter(pc.field("generation") == generation).to_pydict()
        if not rows["index"]:
            return None
        return make_groups(np.array(rows["index"]), rows["signals"], rows["rewards"], rows["lengths"])

    def _open(self, generation: int, resumes: bool = False) -> None:
        ledger = self.folder / "ledger"
        if not resumes and any(ledger.glob("part-*.parquet")):
            raise ValueError(
                f"trainer.default_local_dir ({self.folder.parent}) holds another run's ledger; choose "
                "another folder, remove it, or resume (trainer.resume_mode=auto)"
            )
        self._ledger = Ledger(ledger, self.curriculum.pool.key_N, generation)
        self._log = StepLog(self.folder / "metrics.jsonl", self._step)

    def _only_source(self, curriculum: Curriculum) -> Rounds:
        source = only_source(curriculum)
        if source.filter is not keep_all:
            self._check_filter(curriculum)
        return source

    def _check_filter(self, curriculum: Curriculum) -> None:
        """This trainer trains on every group."""
        name = curriculum.name
        if type(curriculum.estimator) is Neutral:
            raise ValueError(
                f"curriculum={name!r} only filters groups and refills, and this trainer of verl's trains on "
                "every group; use V1's (docs/engines.md), verl's own filter (algorithm.filter_groups), or "
                "CurriculumGRPOTrainer"
            )
        logger.warning(
            "curriculum=%r drops groups and refills: this trainer of verl's trains on every group, so that "
            "only its choice of prompts acts here; the ledger says which groups it would have dropped "
            "(reason), and V1's trainer drops them (docs/engines.md)",
            name,
        )


def only_source(curriculum: Curriculum) -> Rounds:
    """Raises ValueError where it has others than fresh rounds, or what verl's trainers cannot do."""
    name, source = curriculum.name, curriculum.sources[0]
    if len(curriculum.sources) > 1 or type(source) is not Rounds:
        raise ValueError(
            f"curriculum={name!r} keeps groups for later steps or rolls prompts out in parts, which verl's "
            "trainer cannot; take one of fresh rounds alone (mopps, greso, sec, adarft), or "
            "CurriculumGRPOTrainer"
        )
    if source.allocation is not None or curriculum.hints is not None or curriculum.objectives:
        raise ValueError(
            f"curriculum={name!r} with {_asked(curriculum, source)}: verl's batches have as many completions "
            "a prompt, its rows as they are, and its own loss; leave it out, or use CurriculumGRPOTrainer"
        )
    return source


def _asked(curriculum: Curriculum, source: Rounds) -> str:
    parts = {
        "an allocation": source.allocation,
        "hints": curriculum.hints,
        "objectives": curriculum.objectives,
    }
    return " and ".join(name for name, part in parts.items() if part)
