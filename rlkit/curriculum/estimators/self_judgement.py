r"""The policy itself judges each candidate before it is rolled out (METIS, arXiv 2605.11235).

Its context is the K most recent (prompt, realized variance) pairs and the candidate; its judgement ends in
\boxed{v_hat}, with v_hat in [0, 0.25]. After the rollouts showed the (biased) variance v,

    reward = 1 - (4 (v_hat - v))^2,  advantage = reward - baseline

and REINFORCE on the judgement's tokens, at weight lambda, trains the policy to judge better; the host does
that in the same optimizer step as the rollouts. An unparseable judgement counts as the neutral variance
0.25, so such prompts rank first: while the policy cannot judge, the choice is that of the stream. What was
not found in the paper and is ours: the prompt's words, the baseline's memory, and the reward 0 of an
unparseable judgement, from which it learns to keep to the form. Variances are in shares of the signal's
range squared.
"""

import math
import re
from collections import deque
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Senses
from rlkit.curriculum.estimators.features.text import pool_texts
from rlkit.curriculum.scale import Scale
from rlkit.prompts.pool import PromptPool
from rlkit.types import Groups, Prediction

MOST_VARIANCE = 0.25
"""Of a signal in 0 to 1; also what is taken for an unparseable judgement."""
BASELINE_MEMORY = 0.9
"""Weight of the past in the baseline at each round of rollouts (ours)."""

INSTRUCTION = r"""Several attempts at a task are scored from 0 to 1. Predict the variance of their scores. Do not solve the task.
The variance is 0 if all attempts will score alike, all right or all wrong. It is 0.25, the most, if one half will score 1 and the other half 0.
Think in a few sentences, then end with the variance, a number from 0 to 0.25, as \boxed{number}."""  # noqa: E501


class SelfJudgement:
    """An estimator that asks the policy.

    Args:
        memory: recent (prompt, variance) pairs shown to the judge (K).
        weight: of the judgements' loss beside the policy's (lambda); 0 leaves the judge as it is.
        max_tokens: of a judgement.
        scale: the signal's range.
    """

    objectives = ("judgements",)
    """What trains the policy on the lessons, by name."""

    def __init__(
        self, *, memory: int = 3, weight: float = 0.01, max_tokens: int = 256, scale: Scale | None = None
    ):
        self.weight, self.max_tokens, self.scale = weight, max_tokens, scale or Scale()
        self._memory: deque[tuple[str, float]] = deque(maxlen=memory)
        self._judged: dict[int, float] = {}
        self._baseline: float | None = None
        self._account: dict[str, float] = {}

    def bind(self, pool: PromptPool, senses: Senses) -> None:
        if not (hasattr(senses, "judge") and hasattr(senses, "teach")):
            raise ValueError(
                f"the host ({type(senses).__name__}) has no `judge` and `teach`, and a curriculum with "
                "self-judgement asks the policy; run it in CurriculumGRPOTrainer or the simulator, or choose "
                "another curriculum"
            )
        self.pool, self._senses = pool, senses

    def predict(self, index_N: np.ndarray) -> Prediction:
        """The variance that the policy expects. It says nothing of the mean, which stays one half."""
        context = [
            judgement_prompt(list(self._memory), candidate) for candidate in pool_texts(self.pool, index_N)
        ]
        judgements = self._senses.judge(index_N, context, self.max_tokens)
        parsed_N = np.array([parse_variance(judgement) for judgement in judgements], dtype=float)
        self._judged = dict(zip(index_N.tolist(), parsed_N.tolist(), strict=True))
        if len(index_N):
            self._account["unparseable"] = float(np.isnan(parsed_N).mean())
        neutral = Prediction.neutral(len(index_N))
        variance_N = np.where(np.isnan(parsed_N), MOST_VARIANCE, parsed_N)
        return self.scale.prediction(neutral.mean_N, variance_N, neutral.error_N)

    def observe(self, groups: Groups, prediction: Prediction) -> None:
        # A group that waited over rounds for the rest of its completions has no judgement of this round.
        scored = (groups.count_P > 0) & np.isin(groups.index_P, list(self._judged))
        if not scored.any():
            return
        index, range_squared = groups.index_P[scored], (self.scale.high - self.scale.low) ** 2
        variance = np.clip(groups.variance_P[scored] / range_squared, 0.0, MOST_VARIANCE)
        predicted = np.array([self._judged[position] for position in index.tolist()])
        self._teach(index, judgement_reward(predicted, variance))
        parsed = ~np.isnan(predicted)
        if parsed.any():
            self._account["error"] = float(np.abs(predicted - variance)[parsed].mean())
        self._remember(dict(zip(index.tolist(), variance.tolist(), strict=True)))

    def _teach(self, index: np.ndarray, reward: np.ndarray) -> None:
        mean = float(reward.mean())
        baseline = mean if self._baseline is None else self._baseline
        self._senses.teach(index, reward - baseline, self.weight)
        self._baseline = BASELINE_MEMORY * baseline + (1 - BASELINE_MEMORY) * mean
        self._account["reward"] = mean

    def _remember(self, variance_of: dict[int, float]) -> None:
        """In the order of the stream: by rank, the memory would hold only the least of those chosen."""
        latest = [index for index in self._judged if index in variance_of]
        for index, text in zip(latest, pool_texts(self.pool, np.array(latest)), strict=True):
            self._memory.append((text, variance_of[index]))

    def state_dict(self) -> dict[str, Any]:
        return {"memory": list(self._memory), "baseline": self._baseline, "account": dict(self._account)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._memory.clear()
        self._memory.extend((text, variance) for text, variance in state["memory"])
        self._baseline, self._account = state["baseline"], dict(state["account"])

    def metrics(self) -> dict[str, float]:
        """Of the latest round: the share of unparseable judgements, the mean |v_hat - v| of the others among
        those rolled out, the mean reward, and the baseline of the next round."""
        baseline = {} if self._baseline is None else {"baseline": self._baseline}
        return {f"self_judgement/{name}": value for name, value in {**self._account, **baseline}.items()}


def judgement_prompt(examples: list[tuple[str, float]], candidate: str) -> str:
    """What the judge reads: the instruction, (prompt, variance) pairs, oldest first, and the candidate."""
    shown = [f"Task:\n{text}\n\nMeasured variance: \\boxed{{{variance:.4f}}}" for text, variance in examples]
    return "\n\n".join([INSTRUCTION, *shown, f"Task:\n{candidate}", "Judgement:"])


def parse_variance(judgement: str) -> float:
    r"""The number in the last \boxed{}; NaN where that is none, or outside 0 to 0.25.

    "so \boxed{0.1}, no: \boxed{0.2}" -> 0.2
    """
    _, boxed, rest = judgement.rpartition(r"\boxed")
    number = re.match(r"\s*\{([^{}]*)\}", rest) if boxed else None
    try:
        variance = float(number[1]) if number else math.nan
    except ValueError:
        return math.nan
    return variance if 0 <= variance <= MOST_VARIANCE else math.nan


def judgement_reward(predicted_P: np.ndarray, variance_P: np.ndarray) -> np.ndarray:
    """1 - (4 (v_hat - v))^2, in 0 to 1; 0 where nothing was predicted (NaN). (0.1, 0.2) -> 0.84"""
    return np.where(np.isnan(predicted_P), 0.0, 1 - (4 * (predicted_P - variance_P)) ** 2)
