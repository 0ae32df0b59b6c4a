"""Does a completion's answer follow from its own reasoning? A judge's item, as in MentraSuite's Mindora.

In [0, 1]; None where the judge gives no grade. The judge is that of the environment (rlkit/verify/judge.py:
RLKIT_JUDGE_URL and RLKIT_JUDGE_MODEL). Beside a reward for right answers, with a weight below its own:

    --rewards rewards.math_answer:accuracy rewards.consistency:consistency --reward_weights 1.0 0.5

The wording is ours: the paper's was not found.
"""

from typing import Any

from rewards.checklist import Checklist
from rlkit.verify.text import Completion

ITEM = {
    "weight": 100,
    "question": "The final answer follows from the response's own reasoning: nothing that the reasoning "
    "concludes is contradicted by the answer or by a later step.",
}


async def consistency(completions: list[Completion], prompts: list[Any], **_: Any) -> list[float | None]:
    return await Checklist()(completions, [[ITEM]] * len(completions), prompts)
