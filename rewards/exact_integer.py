"""1.0 where the last integer of the completion is the gold integer; microseconds a row.

The gold is an integer, its text ("1,000"), or a solution whose last integer counts ("... #### 1,000" as in
GSM8K). None (unscorable) where the gold holds no integer.
"""

import re
from typing import Any

from rlkit.verify.text import Completion, completion_text

MAX_CHARS = 1000  # only the end of a text is searched, whatever a model may have written before
MAX_DIGITS = 100
# A minus after a word, a digit or a bracket subtracts ("x-3"); digits beside a decimal point are no integer.
_INTEGER = re.compile(r"(?:(?<![\w.)])-|(?<![\d.]))(?:\d{1,3}(?:,\d{3})+|\d+)(?!\d|\.\d)", re.ASCII)


def last_integer(text: str) -> int | None:
    """last_integer("3 boxes of 1,200.") is 1200; decimals do not count: last_integer("2.5") is None."""
    found = [match for match in _INTEGER.findall(text[-MAX_CHARS:]) if len(match) <= MAX_DIGITS]
    return int(found[-1].replace(",", "")) if found else None


def exact_integer(completions: list[Completion], answer: list[Any], **_: Any) -> list[float | None]:
    """Compare each completion's last integer with that of its row's `answer`."""
    golds = [last_integer(str(gold)) for gold in answer]
    return [
        None if gold is None else float(last_integer(completion_text(completion)) == gold)
        for completion, gold in zip(completions, golds, strict=True)
    ]
