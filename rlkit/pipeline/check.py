"""What can be wrong with a plan whose names are resolved: an input that is none of what its stage takes, two
stages that write one file. A loop's list is checked as it is after each round that may be the last."""

from collections.abc import Sequence
from itertools import chain, product
from pathlib import Path

from rlkit.pipeline.plan import Carried, Output, Plan, Source, Stage
from rlkit.pipeline.record import OF_THE_PIPELINE

Found = tuple[str | Output, ...]
"""What an input is once loops have ended."""


def check(plan: Plan) -> None:
    """Raises ValueError for the first mistake."""
    for stage in plan.stages:
        for name, sources in stage.takes.items():
            for found in _alternatives(plan, sources):
                _check_number(stage, name, sources, len(found))
                for source in found:
                    _check_artefact(plan, stage, name, source)
    _check_one_writer(plan)


def _alternatives(plan: Plan, sources: Sequence[Source]) -> list[Found]:
    """What an input may be, by the rounds after which the loops behind it may end."""
    of_each: list[list[Found]] = []
    for source in sources:
        if isinstance(source, Carried):
            ends = plan.loops[source.loop].ends
            of_each.append([found for end in ends for found in _alternatives(plan, end[source.name])])
        else:
            of_each.append([(source,)])
    return [tuple(chain(*found)) for found in product(*of_each)]


def _check_number(stage: Stage, name: str, sources: Sequence[Source], num: int) -> None:
    if stage.kind.takes is None:
        return
    take = stage.kind.takes[name]
    where = f"stage {stage.name} takes {name} ({', '.join(map(str, sources))})"
    if num > 1 and not take.many:
        raise ValueError(f"{where}: {stage.kind.name} takes one, not {num}; put a `select` before it")
    if num == 0 and not take.optional:
        raise ValueError(f"{where}: nothing is carried there; {stage.kind.name} needs it")


def _check_artefact(plan: Plan, stage: Stage, name: str, source: str | Output) -> None:
    """Raises ValueError where a stage would get rows for a model, or the like."""
    wanted = "file" if stage.kind.takes is None else stage.kind.takes[name].artefact
    if isinstance(source, Output):
        given = plan.stage(source.stage).makes[source.name].artefact
        if "file" not in (given, wanted) and given != wanted:
            raise ValueError(f"stage {stage.name} takes {name}: {source} is a {given}, not a {wanted}")
    elif wanted != "model" and not Path(source).exists():
        raise ValueError(f"stage {stage.name} takes {name}: {source!r} is no file")


def _check_one_writer(plan: Plan) -> None:
    """Raises ValueError where two outputs are one file, or one lies in another, or in another's folder."""
    written = {
        (plan.out / stage.name / name).resolve(): "the pipeline"
        for stage in plan.stages
        for name in OF_THE_PIPELINE
    }
    for stage in plan.stages:
        if stage.kind.makes is not None:
            continue  # in the stage's own folder, under names of ours
        for name, made in stage.makes.items():
            path = (plan.out / stage.name / made.path).resolve()
            other = next(
                (each for each in written if path.is_relative_to(each) or each.is_relative_to(path)), None
            )
            if other is not None:
                raise ValueError(
                    f"{stage.name}.{name} and {written[other]} write one file, {path}; give one another name"
                )
            written[path] = f"{stage.name}.{name}"
    for path, writer in written.items():
        for stage in plan.stages:
            own = writer == "the pipeline" or writer.startswith(f"{stage.name}.")
            if not own and path.is_relative_to((plan.out / stage.name).resolve()):
                raise ValueError(
                    f"{writer} ({path}) lies in the folder of stage {stage.name}, which replaces it; give "
                    "it another place"
                )
