"""What of a plan is done, what would run and why, and running it."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from rlkit.pipeline import processes
from rlkit.pipeline.digests import Digests
from rlkit.pipeline.kinds.kind import ARTEFACTS, ESSENTIAL, Call, Made
from rlkit.pipeline.named import named_files
from rlkit.pipeline.plan import Carried, Loop, Output, Plan, Source, Stage
from rlkit.pipeline.record import (
    BEGUN,
    LOG,
    Identity,
    Record,
    finish_rename,
    partial_of,
    read_json,
    read_record,
    whole_of,
    write_json,
    write_record,
)

State = Literal["done", "due", "waits", "left out"]


@dataclass(frozen=True)
class Look:
    """A stage's state and the reason: "waits" is due once what it takes is made, "left out" a round after the
    loop has stopped. `changed` names outputs that somebody else wrote to."""

    stage: Stage
    state: State
    why: str = ""
    record: Record | None = None
    changed: tuple[str, ...] = ()


class StageError(Exception):
    """A stage failed, or left nothing: which, and the end of what it said."""


class Pipeline:
    """A plan and its folder.

    Args:
        start: how commands are started.
    """

    def __init__(self, plan: Plan, start: processes.Start = processes.start):
        self.plan, self._start = plan, start
        self.digests = Digests(plan.out / ".digests.json")
        self._settled: dict[str, Record] = {}

    def look(self) -> list[Look]:
        """Every stage as it stands, in order; nothing is run."""
        self._settled = {}
        return [self._look_at(stage) for stage in self.plan.stages]

    def run(self, told: Callable[[Look, float], None] = lambda look, seconds: None) -> None:
        """Runs what is not done, in order.

        Args:
            told: gets each stage as it is found, several times a second while it runs, with its seconds so
                far, and once it is done.

        Raises:
            StageError: a stage failed; those before it are done.
            ValueError: another process runs this plan in this folder.
        """
        with self._alone():
            self._settled = {}
            for stage in self.plan.stages:
                finish_rename(self._place(stage))
                look = self._look_at(stage)
                told(look, 0.0)
                if look.state == "due":
                    record = self._run(look, told)
                    self._settled[stage.name] = record
                    told(Look(stage, "done", record=record), record.seconds)

    # What is done

    def _look_at(self, stage: Stage) -> Look:
        last = self._last_round(self.plan.loops[stage.loop]) if stage.loop else None
        if last is not None and stage.round > last:
            return Look(stage, "left out", f"the loop stopped after round {last}")
        waits = [
            str(source)
            for sources in stage.takes.values()
            for source in sources
            if not self._is_there(source)
        ]
        if waits:
            return Look(stage, "waits", f"takes {', '.join(waits)}, made anew")
        folder, identity = self.folder(stage), self._identity(stage)
        record = read_record(folder)
        if record is None:
            return Look(stage, "due", self._unfinished(stage, identity))
        changes = identity.changes_since(asdict(record.identity))
        if changes:
            return Look(stage, "due", "; ".join(changes))
        made = self._made(stage, folder)
        differing = [name for name in record.makes if made.get(name) != record.makes[name]]
        if differing:
            words = [
                f"{name} was changed since" if made.get(name) else f"{name} is gone" for name in differing
            ]
            return Look(stage, "due", "; ".join(words), changed=tuple(n for n in differing if made.get(n)))
        self._settled[stage.name] = record
        return Look(stage, "done", record=record)

    def _unfinished(self, stage: Stage, identity: Identity) -> str:
        begun = read_json(partial_of(self._place(stage)) / BEGUN)
        if begun is None:
            return "not run yet"
        goes_on = stage.kind.resumes and begun == asdict(identity)
        return "was stopped; goes on" if goes_on else "was stopped; starts anew"

    def _identity(self, stage: Stage) -> Identity:
        takes = {
            name: [self._digest(path, self._artefact(stage, name)) for path in self._paths(sources)]
            for name, sources in stage.takes.items()
        }
        files = {name: str(self.digests.of(Path(name))) for name in named_files(stage)}
        return Identity(stage.kind.name, stage.settings, takes, files)

    def _artefact(self, stage: Stage, name: str) -> str:
        return "file" if stage.kind.takes is None else stage.kind.takes[name].artefact

    def _digest(self, path: str, artefact: str) -> str:
        return (self.digests.of(Path(path), ARTEFACTS[artefact]) if Path(path).exists() else None) or path

    def _made(self, stage: Stage, folder: Path) -> dict[str, str]:
        """The digests of a stage's outputs that are there."""
        found = {}
        for name, made in stage.makes.items():
            path = folder / made.path
            digest = self.digests.of(path, ARTEFACTS[made.artefact]) if _is_made(path, made) else None
            if digest is not None:
                found[name] = digest
        return found

    # Where things are

    def folder(self, stage: Stage) -> Path:
        """Where a stage's outputs are."""
        return whole_of(self._place(stage))

    def _place(self, stage: Stage) -> Path:
        """Where they will be."""
        return self.plan.out / stage.name

    def _paths(self, sources: Iterable[Source]) -> list[str]:
        """Where an input lies, once what makes it has run; a loop may carry several files under a name."""
        return [path for source in sources for path in self._paths_of(source)]

    def _paths_of(self, source: Source) -> list[str]:
        if isinstance(source, str):
            return [source]
        if isinstance(source, Output):
            stage = self.plan.stage(source.stage)
            return [str(self.folder(stage) / stage.makes[source.name].path)]
        last = self._last_round(self.plan.loops[source.loop])
        assert last is not None  # it is asked for after the loop
        return self._paths(self.plan.loops[source.loop].carry_R[last - 1][source.name])

    def _is_there(self, source: Source) -> bool:
        if isinstance(source, Output):
            return source.stage in self._settled
        if isinstance(source, Carried):
            last = self._last_round(self.plan.loops[source.loop])
            return last is not None and all(
                self._is_there(each) for each in self.plan.loops[source.loop].carry_R[last - 1][source.name]
            )
        return True

    def _last_round(self, loop: Loop) -> int | None:
        """The round after which a loop has stopped, by what is done; None while it goes on."""
        if not loop.number_R:
            return loop.times
        values = []
        for output in loop.number_R:
            record = self._settled.get(output.stage)
            if record is None:
                break
            if output.name not in record.numbers:
                raise ValueError(
                    f"loop {loop.name}: stop.number: stage {output.stage} has no number {output.name!r}; "
                    f"it has {', '.join(record.numbers) or 'none'}"
                )
            values.append(record.numbers[output.name])
        return loop.last(values)

    # Running

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.plan.out.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.plan.out / ".lock", timeout=0):
                yield
                self.digests.save()
        except Timeout as error:
            raise ValueError(
                f"out ({self.plan.out}): another `rlkit pipeline` runs there; wait for it"
            ) from error

    def _run(self, look: Look, told: Callable[[Look, float], None]) -> Record:
        stage, folder = look.stage, self._place(look.stage)
        partial, identity = partial_of(folder), self._identity(stage)
        processes.end_orphans(partial)
        if look.changed:
            _set_aside(folder)
        if read_json(partial / BEGUN) != asdict(identity) or not stage.kind.resumes:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, exist_ok=True)
        write_json(partial / BEGUN, asdict(identity))
        takes = {name: paths for name, sources in stage.takes.items() if (paths := self._paths(sources))}
        command = stage.kind.command(Call(takes, stage.settings, partial))
        began = time.monotonic()
        process = self._start(command, partial / LOG, {processes.MARK: str(partial.resolve())})
        try:
            code = processes.wait(process, lambda: told(look, time.monotonic() - began))
        except BaseException:  # interrupted: it goes on next time
            processes.end(process)
            raise
        if code != 0:
            raise StageError(f"stage {stage.name} failed (exit code {code}): {_last_line(partial / LOG)}")
        made = self._made(stage, partial)
        missing = [f"{name} ({stage.makes[name].path})" for name in stage.makes if name not in made]
        if missing:
            raise StageError(
                f"stage {stage.name} ended well and left no {', '.join(missing)} in {partial}; "
                f"its log: {partial / LOG}"
            )
        numbers = stage.kind.numbers(partial)
        record = Record(identity, made, numbers, round(time.monotonic() - began, 2), command)
        write_record(partial, folder, record)
        self.digests.save()
        return record


def _is_made(path: Path, made: Made) -> bool:
    if path.is_file():
        return path.stat().st_size > 0 or made.may_be_empty
    return any(any(path.glob(pattern)) for pattern in ESSENTIAL.get(made.artefact, ("*",)))


def _set_aside(folder: Path) -> None:
    """Keeps what somebody changed by hand."""
    free = next(
        number for number in count(1) if not folder.with_name(f"{folder.name}.changed-{number}").exists()
    )
    folder.rename(folder.with_name(f"{folder.name}.changed-{free}"))


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'it said nothing'} (its log: {log})"
