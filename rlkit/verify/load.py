"""Reward functions by name, from a file or a package."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from rlkit.verify.rewards import Reward


def load_reward(spec: str) -> Reward:
    """The function that a spec names: "path/to/file.py:function" or "package.module:function".

    load_reward("rewards.math_answer:accuracy") is that function. A ValueError says what is wrong with the
    spec.
    """
    place, attribute, module = _load(spec)
    if attribute not in vars(module):
        own = [
            name
            for name, value in vars(module).items()
            if callable(value)
            and not name.startswith("_")
            and getattr(value, "__module__", "") == module.__name__
        ]
        raise ValueError(f"reward {spec!r}: {place} has no {attribute!r}; it defines {own or 'no function'}")
    reward = vars(module)[attribute]
    if not callable(reward) or inspect.isclass(reward):
        what = "a class; name an instance of it" if inspect.isclass(reward) else f"a {type(reward).__name__}"
        raise ValueError(f"reward {spec!r} must be a function f(completions, **columns); it is {what}")
    if getattr(reward, "__name__", "<lambda>") == "<lambda>":
        reward.__name__ = attribute  # the name of its metrics
    return reward


def load_class(spec: str) -> type:
    """The class that a spec names, such as an environment: "path/to/file.py:Class".

    Raises:
        ValueError: what is wrong with the spec.
    """
    place, attribute, module = _load(spec)
    found = vars(module).get(attribute)
    if not inspect.isclass(found):
        classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
        raise ValueError(
            f"environment {spec!r}: {place} has no class {attribute!r}; it has {classes or 'none'}"
        )
    return found


def _load(spec: str) -> tuple[str, str, ModuleType]:
    place, colon, attribute = spec.rpartition(":")
    if not (place and colon and attribute):
        raise ValueError(
            f"reward {spec!r} names no function; write 'path/to/file.py:function' or "
            "'package.module:function'"
        )
    module = _import_file(spec, Path(place)) if place.endswith(".py") else _import_module(spec, place)
    return place, attribute, module


def _import_file(spec: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"reward {spec!r}: there is no file {path} (relative paths start at {Path.cwd()})")
    name = "rlkit_reward_" + "".join(c if c.isalnum() else "_" for c in str(path.resolve()))
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None and module_spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(
            f"reward {spec!r}: running {path} failed: {type(error).__name__}: {error}"
        ) from error
    return module


def _import_module(spec: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ValueError(
            f"reward {spec!r}: importing {name} failed: {type(error).__name__}: {error}. "
            f"A function of a file that is not installed is named 'path/to/file.py:function'"
        ) from error
