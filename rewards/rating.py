"""A judge's rating as a distribution: the expected share of the way from 1 to `levels`.

One request asks for a rating, and the probabilities of all ratings are read off the log-probabilities of its
token (OPRM, ordinal probabilistic reward modelling): where a sampled rating is 3 or 4, this is 3.4, so that
groups seldom tie. How far the judge is undecided, the variance, is logged: `rating_variance` in the table of
completions, and its mean `rating/variance`.

None (unscorable) where the server gives no log-probabilities, or the judge says something else. The
requirement is the row's `requirement`, or that of the reward. The judge is that of the environment
(rlkit/verify/judge.py), or in a file of yours named in the recipe as mine.py:rating:

    rating = Rating("The response is polite.", levels=7, judge=Judge("http://localhost:8000/v1", "qwen"))

Needs pip install 'rlkit[judge]'.
"""

from dataclasses import dataclass
from typing import Any

from rlkit.verify.judge import Judge, Question
from rlkit.verify.scales import ratings
from rlkit.verify.text import Completion, completion_text

GOOD = "The response is a correct, complete and helpful answer to the prompt."


@dataclass(frozen=True)
class Rating:
    """The reward on one scale; a ValueError names `levels` that are not from 2 to 9."""

    requirement: str = GOOD
    levels: int = 5
    judge: Judge | None = None

    __name__ = "rating"  # of its metrics

    def __post_init__(self) -> None:
        ratings(self.levels)

    async def __call__(
        self,
        completions: list[Completion],
        prompts: list[Any],
        requirement: list[str | None] | None = None,
        log_extra: Any = None,
        log_metric: Any = None,
        **_: Any,
    ) -> list[float | None]:
        """Expected scores in [0, 1], one a completion."""
        questions = [
            Question(
                completion_text(prompt) if isinstance(prompt, str | list) else "",
                completion_text(completion),
                wanted or self.requirement,
            )
            for prompt, completion, wanted in zip(
                prompts, completions, requirement or [None] * len(prompts), strict=True
            )
        ]
        judge = self.judge or Judge.from_environment()
        found = await judge.ask_on(ratings(self.levels), questions)
        variances = [None if values is None else values[1] for values in found]
        if log_extra is not None:
            log_extra("rating_variance", variances)
        known = [variance for variance in variances if variance is not None]
        if log_metric is not None and known:
            log_metric("rating/variance", sum(known) / len(known))
        return [None if values is None else values[0] for values in found]


rating = Rating()
