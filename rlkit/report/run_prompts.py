"""Where the prompts stand: each visited prompt's success at first and now, and the tables made of it.

Success is the mean signal of a prompt's group as a share of the signal's range. Solved: 0.9 or more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.record.pool_table import PoolTable
from rlkit.report.run_groups import GroupTable

SOLVED, HALF = 0.9, 0.5
MOST_ON_MAP = 2500
MOST_IN_TABLE = 50
EXCERPT = 160
"""Characters of a prompt in a table."""


def prompts(
    groups: GroupTable, low: float, high: float, pool: PoolTable, num_prompts: int | None
) -> dict[str, Any]:
    """The map, the tables and the categories.

    Args:
        pool: categories and texts, as far as they are known.
        num_prompts: in the pool; None where that is not known.
    """
    groups = groups.take(groups.count_P > 0)
    visited = _visited(groups, low, high)
    return {
        "pool": num_prompts,
        "visited": len(visited["index"]),
        "map": _map(visited),
        "tables": _tables(visited, pool),
        "never_visited": _never_visited(visited["index"], pool, num_prompts),
        "categories": _categories(groups, visited, pool, low, high),
    }


def _visited(groups: GroupTable, low: float, high: float) -> dict[str, np.ndarray]:
    """One entry a prompt that was rolled out, by index."""
    order = np.argsort(groups.index_P, kind="stable")
    index, first, visits = np.unique(groups.index_P[order], return_index=True, return_counts=True)
    last = first + visits - 1
    share = (groups.mean_P[order] - low) / (high - low)
    best = (groups.best_P[order] - low) / (high - low)
    starts = first if len(first) else np.empty(0, dtype=int)
    return {
        "index": index,
        "first": share[first],
        "now": share[last],
        "best_group": np.maximum.reduceat(share, starts) if len(first) else share,
        "best": np.maximum.reduceat(best, starts) if len(first) else best,
        "visits": visits,
        "trained": np.add.reduceat(groups.trained_P[order].astype(int), starts) if len(first) else visits,
        "step": groups.step_P[order][last],
    }


def _state(visited: Mapping[str, np.ndarray]) -> np.ndarray:
    """What became of each prompt, in a word."""
    now, best = visited["now"], visited["best_group"]
    state = np.full(len(now), "learning", dtype=object)
    state[visited["visits"] == 1] = "seen once"
    state[visited["best"] < HALF] = "never solved"
    state[(now >= SOLVED) & (visited["visits"] > 1)] = "solved"
    state[(now >= SOLVED) & (visited["first"] < HALF)] = "newly solved"
    state[(best >= SOLVED) & (now <= HALF)] = "forgotten"
    return state


def _map(visited: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The prompts on the map: those with most visits, as many as a page holds."""
    shown = np.sort(np.argsort(-visited["visits"], kind="stable")[:MOST_ON_MAP])
    columns = {name: visited[name][shown].tolist() for name in ("index", "first", "now", "visits", "step")}
    return {**columns, "state": _state(visited)[shown].tolist(), "all": len(visited["index"])}


def _tables(visited: Mapping[str, np.ndarray], pool: PoolTable) -> dict[str, Any]:
    state = _state(visited)
    tables = {}
    for name in ("newly solved", "forgotten", "never solved"):
        chosen = np.flatnonzero(state == name)
        most = chosen[np.argsort(-visited["visits"][chosen], kind="stable")[:MOST_IN_TABLE]]
        rows = [
            {
                **_named(int(visited["index"][row]), pool),
                **{column: float(visited[column][row]) for column in ("first", "now")},
                **{column: int(visited[column][row]) for column in ("visits", "trained", "step")},
            }
            for row in most
        ]
        tables[name] = {"number": len(chosen), "rows": rows}
    return tables


def _never_visited(visited: np.ndarray, pool: PoolTable, num_prompts: int | None) -> dict[str, Any]:
    if num_prompts is None:
        return {"number": None, "rows": []}
    seen = np.zeros(max(num_prompts, int(visited.max(initial=-1)) + 1), dtype=bool)
    seen[visited] = True
    left = np.flatnonzero(~seen)
    return {
        "number": len(left),
        "rows": [_named(int(index), pool) for index in left[:MOST_IN_TABLE]],
    }


def _named(index: int, pool: PoolTable) -> dict[str, Any]:
    """What a table says of which prompt it is."""
    text = pool.prompts.get(index)
    return {
        "index": index,
        "prompt": text if text is None or len(text) <= EXCERPT else f"{text[:EXCERPT]}…",
        "category": pool.categories.get(index),
    }


def _categories(
    groups: GroupTable,
    visited: Mapping[str, np.ndarray],
    pool: PoolTable,
    low: float,
    high: float,
) -> list[dict[str, Any]]:
    """One row a category of the data: how often it was taken, and the success of its first and last fifth."""
    category_of: Mapping[int, str] = pool.categories
    if not category_of:
        return []
    name_P = np.array([category_of.get(int(index), "?") for index in groups.index_P], dtype=object)
    names_in_pool, counts = np.unique(np.array(list(category_of.values()), dtype=object), return_counts=True)
    rows = []
    for name, count in zip(names_in_pool, counts, strict=True):
        inside = groups.take(name_P == name)
        share = (inside.mean_P - low) / (high - low)
        fifth = max(len(share) // 5, 1)
        seen = [category_of.get(int(index)) == name for index in visited["index"]]
        rows.append(
            {
                "category": str(name),
                "prompts": int(count),
                "visited": int(sum(seen)),
                "groups": len(inside),
                "trained": int(inside.trained_P.sum()),
                "early": float(share[:fifth].mean()) if len(share) else None,
                "late": float(share[-fifth:].mean()) if len(share) else None,
            }
        )
    return rows
