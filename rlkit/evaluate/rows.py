"""What is known of one completion: a row of `completions.jsonl`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One completion, graded.

    `reward` is None for unscorable, `correct` a reward of at least 1. `scorable` is False on all rows of a
    problem that no completion could score on, such as one whose gold answer cannot be parsed. `answer` is
    what was read off the completion, None if nothing could be; of one problem's answers those with the same
    `group` are equivalent (-1 where there is no answer, or the benchmark has no votes). `num_tokens` are
    generated ones.
    """

    benchmark: str
    problem: str
    sample: int
    completion: str
    reward: float | None
    correct: bool
    scorable: bool
    answer: str | None
    group: int
    num_tokens: int
    num_prompt_tokens: int
    truncated: bool
