"""The text of a row's gold answer, in the forms that data sets have; why golds do not earn, in groups."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LANGUAGES = {3: "python", 2: "cpp"}  # CodeContests' numbers, in the order of choice
EXAMPLES = 3


def gold_text(gold: Any) -> str:
    r"""The gold as a completion; of several (a list, a JSON list of texts) the first.

    CodeContests' object of the lists `language` and `solution` gives a fenced block, Python first.
    gold_text('["print(1)", "print(2)"]') is "print(1)".
    """
    if isinstance(gold, str) and gold.lstrip().startswith('["'):
        try:
            several = json.loads(gold)
        except ValueError:
            return gold
        gold = several if all(isinstance(one, str) for one in several) else gold
    if isinstance(gold, list) and gold:
        gold = gold[0]
    if isinstance(gold, Mapping) and {"language", "solution"} <= gold.keys():
        for number, name in _LANGUAGES.items():
            if number in gold["language"]:
                return f"```{name}\n{gold['solution'][gold['language'].index(number)]}\n```"
    return str(gold)


def grouped(reasons: Iterable[tuple[int, str]]) -> list[tuple[int, str, list[int]]]:
    """Rows and why their golds fail, in groups of like reasons: how many, the first reason, example rows.

    Reasons are alike but for numbers and quoted parts.
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for row, reason in reasons:
        kind = re.sub(r"'[^']*'|\"[^\"]*\"|\d+| at assert .*", "", reason)[:80]
        groups.setdefault(kind, []).append((row, reason))
    largest = sorted(groups.values(), key=len, reverse=True)
    return [(len(group), group[0][1], [row for row, _ in group[:EXAMPLES]]) for group in largest]
