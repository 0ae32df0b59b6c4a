"""`harvest`, `merge` and `rank`: the command of that name, inputs first, its output in the stage's folder."""

import json
from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

HARVESTED, MERGED, RANKING = "rows.jsonl", "model", "ranking.json"


def _harvest(call: Call) -> list[str]:
    return rlkit("harvest", call.one("run"), *options({**call.settings, "out": str(call.folder / HARVESTED)}))


def _num_rows(folder: Path) -> dict[str, float]:
    with (folder / HARVESTED).open(encoding="utf-8") as file:
        return {"rows": sum(1 for _ in file)}


def _merge(call: Call) -> list[str]:
    return rlkit(
        "merge", *call.takes["models"], *options({**call.settings, "out": str(call.folder / MERGED)})
    )


def _rank(call: Call) -> list[str]:
    return rlkit(
        "rank", *call.takes["results"], *options({**call.settings, "out": str(call.folder / RANKING)})
    )


def _wins(folder: Path) -> dict[str, float]:
    """Each model's expected wins."""
    ranking = json.loads((folder / RANKING).read_text())
    return {f"{each['model']} wins": each["wins"][0] for each in ranking["models"]}


HARVEST = Kind(
    "harvest",
    _harvest,
    takes={"run": Take("run")},
    makes={"rows": Made(HARVESTED, "rows")},
    numbers=_num_rows,
    filled=("out",),
    needed=("kind",),
)
MERGE = Kind(
    "merge",
    _merge,
    takes={"models": Take("model", many=True)},
    makes={"model": Made(MERGED, "model")},
    filled=("out",),
)
RANK = Kind(
    "rank",
    _rank,
    takes={"results": Take("results", many=True)},
    makes={"ranking": Made(RANKING)},
    numbers=_wins,
    filled=("out",),
)
