"""What decides right or wrong: reward functions and their checks, and the equality of answers."""

from rlkit.verify.equivalence import same_answer
from rlkit.verify.load import load_reward
from rlkit.verify.rewards import check_golds, check_reward, guard
from rlkit.verify.text import completion_text

__all__ = ["check_golds", "check_reward", "completion_text", "guard", "load_reward", "same_answer"]
