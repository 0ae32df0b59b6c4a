"""A plan from its YAML file, with `--set` and `${value}` put in, as plain mappings that are in order."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

PLAN_KEYS = ("about", "out", "values", "stages")
STAGE_KEYS = ("kind", "takes", "settings")
LOOP_KEYS = ("kind", "takes", "carry", "times", "stop", "stages")
STOP_KEYS = ("number", "gain")
NAME = re.compile(r"[A-Za-z][\w-]*")
VALUE = re.compile(r"\$\{(\w+)\}")


DATE = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """YAML's, which takes no key twice: the second of two stages of one name would replace the first. Dates
    are texts, as on a command line."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    loader.flatten_mapping(node)
    found = {}
    for key_node, value_node in node.value:
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ValueError(f"line {line}: the key {key!r:.60} is no text; put it into quotes")
        if key in found:
            raise ValueError(f"line {line}: {key!r} is there twice; give one of them another name")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in each if tag != DATE]
    for first, each in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path, changes: Iterable[str] = ()) -> dict[str, Any]:
    """The plan's mappings, its keys checked, `changes` (NAME=VALUE and STAGE.KEY=VALUE) and values put in.

    Raises:
        ValueError: what is wrong with the file or a change, in one line.
    """
    if not path.is_file():
        raise ValueError(f"plan ({path}): there is no such file")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"plan ({path}) is not YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise ValueError(f"plan ({path}), {error}") from error
    check_keys(data, PLAN_KEYS, f"plan ({path})")
    if not isinstance(data.get("stages"), Mapping) or not data["stages"]:
        raise ValueError(f"plan ({path}) has no stages; list them as `stages: {{NAME: {{kind: ...}}}}`")
    values = data["values"] = data.get("values") or {}
    check_keys(values, values, f"plan ({path}): values")
    for change in changes:
        _change(data, change)
    data["stages"] = {name: _checked(name, stage) for name, stage in data["stages"].items()}
    filled = {key: value if key == "values" else _fill(value, values, key) for key, value in data.items()}
    _check_plain(filled["stages"], "stages")
    return filled


def _check_plain(value: Any, where: str) -> None:
    """Raises ValueError for what a record does not give back as it was: no number, sets, bytes."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _check_plain(each, f"{where}.{key}")
    elif isinstance(value, list):
        for each in value:
            _check_plain(each, where)
    elif isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{where} ({value}) is not a number")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{where} ({value!r:.60}) must be a text, a number, a list or a mapping")


def check_keys(data: Any, known: Iterable[str], where: str) -> None:
    """Raises ValueError where it is no mapping, or has another key."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be a mapping with the keys {', '.join(known)}; it is {data!r:.60}")
    for key in data:
        if key not in known:
            raise ValueError(f"{where} has no key {key!r}{nearest(str(key), known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'model'?" or the names that there are."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]!r}?" if found else f"; there are {', '.join(known) or 'none'}"


def _checked(name: str, stage: Any) -> Any:
    where = f"stage {name}"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{where}: a name is letters, digits, - and _, and begins with a letter")
    is_loop = isinstance(stage, Mapping) and stage.get("kind") == "loop"
    check_keys(stage, LOOP_KEYS if is_loop else STAGE_KEYS, where)
    if "kind" not in stage:
        raise ValueError(f"{where} has no kind; name one, such as `kind: sft`")
    if not isinstance(stage["kind"], str):
        raise ValueError(f"{where}: kind ({stage['kind']!r:.60}) must be a name, such as `kind: sft`")
    for key in ("takes", "settings", "carry", "stages"):
        if key in stage and not isinstance(stage[key], Mapping):
            raise ValueError(f"{where}: {key} must be a mapping of names; it is {stage[key]!r:.60}")
    if is_loop:
        stage = {
            **stage,
            "stages": {inner: _checked(inner, each) for inner, each in (stage.get("stages") or {}).items()},
        }
    return stage


def _change(data: dict[str, Any], change: str) -> None:
    """Puts NAME=VALUE among the values, or STAGE.KEY=VALUE among what a stage takes or its settings."""
    target, equals, text = change.partition("=")
    if not equals:
        raise ValueError(f"set ({change}) must be NAME=VALUE or STAGE.KEY=VALUE")
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"set ({change}): what is behind = is not YAML; put it into quotes") from error
    stage, dot, key = target.rpartition(".")
    if not dot:
        if target not in data["values"]:
            raise ValueError(
                f"set ({change}): the plan has no value {target!r}{nearest(target, data['values'])}"
            )
        data["values"][target] = value
        return
    stages = _all_stages(data["stages"])
    if stage not in stages:
        raise ValueError(f"set ({change}): the plan has no stage {stage!r}{nearest(stage, stages)}")
    found = stages[stage]
    if key in (found.get("takes") or {}):
        found["takes"][key] = value
    elif found.get("kind") == "loop":
        found[key] = value
    else:
        found["settings"] = {**(found.get("settings") or {}), key: value}


def _all_stages(stages: Mapping[str, Any]) -> dict[str, Any]:
    """Those in loops too."""
    found = dict(stages)
    for stage in stages.values():
        if isinstance(stage, Mapping) and isinstance(stage.get("stages"), Mapping):
            found |= _all_stages(stage["stages"])
    return found


def _fill(data: Any, values: Mapping[str, Any], where: str) -> Any:
    """With the values put in: "${rows}" alone is the value itself, inside of a text its text."""
    if isinstance(data, Mapping):
        return {key: _fill(value, values, f"{where}.{key}") for key, value in data.items()}
    if isinstance(data, list):
        return [_fill(item, values, where) for item in data]
    if not isinstance(data, str):
        return data
    for name in VALUE.findall(data):
        if name not in values:
            raise ValueError(f"{where} ({data}): the plan has no value {name!r}{nearest(name, values)}")
        if values[name] is None:
            raise ValueError(f"{where} needs the value {name!r}; give it by --set {name}=...")
    whole = VALUE.fullmatch(data)
    return values[whole[1]] if whole else VALUE.sub(lambda match: str(values[match[1]]), data)
