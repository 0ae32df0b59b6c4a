"""From the mappings of a YAML file to a `Plan`: names resolved, loops unrolled, stages put in order, and all
that can be wrong with them said before anything runs."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from rlkit.pipeline.check import check
from rlkit.pipeline.kinds import KINDS
from rlkit.pipeline.kinds.run import check_command
from rlkit.pipeline.plan import Carried, Loop, Output, Plan, Source, Stage
from rlkit.pipeline.read import STOP_KEYS, check_keys, nearest, read_yaml

HUB_ID = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+")
Scope = Mapping[str, Callable[[str], tuple[Source, ...]]]
"""For each name that may stand before a dot: from what stands behind it to where that comes from."""


def read_plan(path: Path, changes: Iterable[str] = (), out: Path | None = None) -> Plan:
    """The plan of a file.

    Args:
        changes: NAME=VALUE for a value, STAGE.KEY=VALUE for a setting or an input.
        out: its folder, where it is not the file's `out` or runs/<name of the file>.

    Raises:
        ValueError: what is wrong: an unknown key, kind, stage or output, a cycle, a missing file, two stages
            that write one file.
    """
    data = read_yaml(path, changes)
    stages, loops = _unroll(data["stages"])
    folder = out or Path(data.get("out") or Path("runs") / path.stem)
    plan = Plan(path.stem, str(data.get("about", "")), folder, _in_order(stages, loops), loops)
    check(plan)
    return plan


def _unroll(data: Mapping[str, Any]) -> tuple[list[Stage], dict[str, Loop]]:
    scope: dict[str, Callable[[str], tuple[Source, ...]]] = {}
    for name, stage in data.items():
        if stage["kind"] == "loop":
            known = {**(stage.get("takes") or {}), **(stage.get("carry") or {})}
            scope[name] = _named(name, known, lambda output, name=name: (Carried(name, output),))
        else:
            scope[name] = _outputs(name, name, stage)
    stages: list[Stage] = []
    loops = {}
    for name, stage in data.items():
        if stage["kind"] == "loop":
            loops[name], rounds = _rounds(name, stage, scope)
            stages += rounds
        else:
            stages.append(_stage(name, stage, scope))
    return stages, loops


def _rounds(name: str, data: Mapping[str, Any], outer: Scope) -> tuple[Loop, list[Stage]]:
    """A loop and the stages of all of its rounds."""
    times, inner = data.get("times"), data.get("stages") or {}
    if not isinstance(times, int) or times < 1:
        raise ValueError(f"loop {name}: times ({times}) must be a number of rounds, at least 1")
    if not inner:
        raise ValueError(f"loop {name} has no stages")
    twice = sorted({*inner} & {*outer})
    if twice:
        raise ValueError(f"loop {name}: stage {twice[0]!r} has the name of another; rename one")
    first = {
        key: _sources(value, outer, f"loop {name}: {key}") for key, value in (data.get("takes") or {}).items()
    }
    current, stages, carried, numbers = first, [], [], []
    for number in range(1, times + 1):
        scope = {
            **outer,
            **{each: _outputs(f"{name}/{number}/{each}", each, stage) for each, stage in inner.items()},
            name: _named(name, current, lambda output, now=current: now[output]),
        }
        for each, stage in inner.items():
            stages.append(_stage(f"{name}/{number}/{each}", stage, scope, name, number))
        carry = {
            key: _sources(value, scope, f"loop {name}: carry {key}")
            for key, value in (data.get("carry") or {}).items()
        }
        current = {**current, **carry}
        carried.append(current)
        numbers += _stop_number(name, number, data.get("stop"), inner)
    gain = (data.get("stop") or {}).get("gain", 0)
    if not isinstance(gain, int | float):
        raise ValueError(f"loop {name}: stop.gain ({gain!r}) must be a number")
    return Loop(name, times, tuple(carried), tuple(numbers), gain), stages


def _stop_number(name: str, number: int, stop: Any, inner: Mapping[str, Any]) -> list[Output]:
    if stop is None:
        return []
    check_keys(stop, STOP_KEYS, f"loop {name}: stop")
    stage, dot, number_name = str(stop.get("number")).partition(".")
    if not dot or stage not in inner:
        raise ValueError(
            f"loop {name}: stop.number ({stop.get('number')}) must be STAGE.NUMBER of a stage of the loop, "
            f"such as {[*inner][-1]}.accuracy"
        )
    return [Output(f"{name}/{number}/{stage}", number_name)]


def _stage(name: str, data: Mapping[str, Any], scope: Scope, loop: str | None = None, number: int = 0):
    kind = KINDS.get(data["kind"])
    if kind is None:
        raise ValueError(
            f"stage {name}: there is no kind {data['kind']!r}{nearest(str(data['kind']), KINDS)}"
        )
    settings = data.get("settings") or {}
    for key in kind.needed:
        if not settings.get(key):
            raise ValueError(f"stage {name} ({kind.name}) needs the setting {key}")
    for key in kind.filled:
        if key in settings:
            raise ValueError(f"stage {name}: {key} ({settings[key]}) is filled in by the pipeline; remove it")
    takes = {}
    for key, value in (data.get("takes") or {}).items():
        where = f"stage {name} takes {key}"
        if kind.takes is not None and key not in kind.takes:
            raise ValueError(f"{where}, which {kind.name} does not{nearest(key, kind.takes)}")
        takes[key] = _sources(value, scope, where)
    for key, take in (kind.takes or {}).items():
        if not takes.get(key) and not take.optional:
            raise ValueError(
                f"stage {name} ({kind.name}) must take {key} ({take.artefact}); it takes {[*takes]}"
            )
    if kind.takes is None:
        try:
            check_command(settings, takes)
        except ValueError as error:
            raise ValueError(f"stage {name} ({kind.name}): {error}") from error
    return Stage(name, kind, {key: value for key, value in takes.items() if value}, settings, loop, number)


def _sources(value: Any, scope: Scope, where: str) -> tuple[Source, ...]:
    """Where an input comes from; None and [] are nothing."""
    values = value if isinstance(value, list) else [value]
    return tuple(found for each in values if each is not None for found in _source(each, scope, where))


def _source(text: Any, scope: Scope, where: str) -> tuple[Source, ...]:
    if not isinstance(text, str):
        raise ValueError(f"{where}: {text!r} must be a file or STAGE.OUTPUT")
    stage, dot, output = text.partition(".")
    if dot and stage in scope:
        try:
            return scope[stage](output)
        except KeyError as error:
            raise ValueError(f"{where}: {text!r}: {error.args[0]}") from error
    if os.path.exists(text) or (HUB_ID.fullmatch(text) and not text.startswith("runs/")):
        return (text,)
    raise ValueError(
        f"{where}: {text!r} is neither a file nor a stage's output (relative paths start at {Path.cwd()}; "
        f"the stages are {', '.join(scope)})"
    )


def _outputs(full_name: str, name: str, data: Any) -> Callable[[str], tuple[Source, ...]]:
    """What a stage may be asked for."""
    kind = KINDS.get(data["kind"])
    makes = (
        kind.makes if kind and kind.makes is not None else (data.get("settings") or {}).get("outputs") or {}
    )
    return _named(name, makes, lambda output: (Output(full_name, output),))


def _named(name: str, known: Iterable[str], found: Callable[[str], tuple[Source, ...]]):
    known = list(known)

    def resolve(output: str) -> tuple[Source, ...]:
        if output not in known:
            raise KeyError(f"stage {name} makes no {output!r}{nearest(output, known)}")
        return found(output)

    return resolve


def _in_order(stages: list[Stage], loops: Mapping[str, Loop]) -> tuple[Stage, ...]:
    """Each after what it takes and, in a loop, after the round before; else as the file lists them."""
    needs: dict[str, set[str]] = {}
    for stage in stages:
        needs[stage.name] = {
            name
            for sources in stage.takes.values()
            for source in sources
            for name in _stages_of(source, stages)
        }
        if stage.loop is not None and stage.round > 1:
            before = (each for each in stages if each.loop == stage.loop and each.round == stage.round - 1)
            needs[stage.name] |= {each.name for each in before}
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ValueError(f"the stages wait for each other: {circle}; one of them must take a file") from error
    places = {stage.name: place for place, stage in enumerate(stages)}
    ordered: list[Stage] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready |= {*sorter.get_ready()}
        name = min(ready, key=places.__getitem__)
        ready.remove(name)
        sorter.done(name)
        ordered.append(stages[places[name]])
    return tuple(ordered)


def _stages_of(source: Source, stages: list[Stage]) -> list[str]:
    if isinstance(source, Output):
        return [source.stage]
    if isinstance(source, Carried):
        return [stage.name for stage in stages if stage.loop == source.loop]
    return []
