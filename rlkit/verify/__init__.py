"""What decides right or wrong: reward functions and their checks, and the equality of answers."""

from rlkit.verify.answers import find_answer
from rlkit.verify.equivalence import equivalent_groups, same_answer, same_answers
from rlkit.verify.load import load_reward
from rlkit.verify.rewards import check_golds, check_reward, guard
from rlkit.verify.text import completion_text

__all__ = [
    "check_golds",
    "check_reward",
    "completion_text",
    "equivalent_groups",
    "find_answer",
    "guard",
    "load_reward",
    "same_answer",
    "same_answers",
]
