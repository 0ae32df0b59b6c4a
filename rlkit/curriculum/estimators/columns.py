"""The data's columns that some presets need, checked when the run binds its pool."""

import numpy as np

from rlkit.prompts.pool import PromptPool


def rates(pool: PromptPool, preset: str) -> np.ndarray:
    """The `pass_rate` column: each prompt's share of right completions, measured beforehand.

    Raises:
        ValueError: it is missing, has holes, or leaves 0 to 1.
    """
    return _numbers(pool, preset, "pass_rate", "share of right completions, 0 to 1", 1.0)


def difficulties(pool: PromptPool, preset: str, most: float) -> np.ndarray:
    """The `difficulty` column, 0 to `most`; where there is none, `most * (1 - pass_rate)`."""
    if "difficulty" in pool.column_names:
        return _numbers(pool, preset, "difficulty", f"0, easy, to {most:g}, hard", most)
    return most * (1 - rates(pool, preset))


def categories(pool: PromptPool, preset: str, column: str = "category") -> tuple[list[str], np.ndarray]:
    """The names in a column, sorted, and each prompt's position among them, (N,) int32.

    Raises:
        ValueError: it is missing or has holes.
    """
    values = _column(pool, preset, column, "any name of a prompt's kind").tolist()
    distinct = set(values)
    if None in distinct:
        raise ValueError(
            f"`{column}` is missing in {values.count(None)} of {len(values)} rows; drop those rows, or name "
            "it"
        )
    names = sorted({str(value) for value in distinct})
    position = {name: code for code, name in enumerate(names)}
    code_of = {value: position[str(value)] for value in distinct}
    return names, np.fromiter(map(code_of.__getitem__, values), np.int32, len(values))


def _numbers(pool: PromptPool, preset: str, name: str, meaning: str, most: float) -> np.ndarray:
    value_N = _column(pool, preset, name, meaning).astype(float)
    if np.isnan(value_N).any():
        raise ValueError(
            f"`{name}` is missing in {int(np.isnan(value_N).sum())} of {len(value_N)} rows; drop those rows, "
            "or use another preset"
        )
    if not ((value_N >= 0) & (value_N <= most)).all():
        raise ValueError(
            f"`{name}` must lie in 0 to {most:g}, got {value_N.min()} to {value_N.max()}; "
            + ("divide percentages by 100" if most == 1 else "scale it to that range")
        )
    return value_N


def _column(pool: PromptPool, preset: str, name: str, meaning: str) -> np.ndarray:
    values = pool.column(name)
    if values is None:
        raise ValueError(
            f"curriculum={preset!r} looks at a column that is missing: the data set has no `{name}` column "
            f"({meaning}); it has: {', '.join(pool.column_names)}; add one, rename the one that holds it, or "
            "use another preset"
        )
    return values
