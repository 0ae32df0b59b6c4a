r"""1.0 where the completion ends in its only `\boxed{...}`: one answer, and given last.

A full stop or the end of a formula may follow the box. For use beside a reward for the answer itself, with a
small weight. It needs no gold answer.
"""

import re
from typing import Any

from rlkit.verify.boxes import closing_brace
from rlkit.verify.text import Completion, completion_text

_AFTER_BOX = re.compile(r"[\s.$]*(\\[\])][\s.]*)?")  # the end of a formula and of a sentence


def ends_in_one_box(text: str) -> bool:
    r"""ends_in_one_box(r"So it is $\boxed{4}$.") is True; with a second box, or words after it, False."""
    _, box, rest = text.partition("\\boxed{")
    if not box or "\\boxed{" in rest:
        return False
    end = closing_brace(rest, 0)
    return end is not None and rest[:end].strip() != "" and _AFTER_BOX.fullmatch(rest, end + 1) is not None


def format(completions: list[Completion], **_: Any) -> list[float]:
    """Score the form of each completion."""
    return [float(ends_in_one_box(completion_text(completion))) for completion in completions]
