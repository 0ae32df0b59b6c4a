"""What the teacher is asked, and how its replies are read: garbage gives nothing."""

import re
from collections.abc import Sequence
from typing import Any

NUM_QUESTIONS, NUM_SOLUTIONS = 2, 3
LONGEST = 4000
"""Characters of a question that is taken."""
_WRITE = (
    "Below are questions that train the skill {skill!r}. Write {num} new questions that train the same skill,"
    " each with one final answer that can be checked, each complete in itself, none a copy with other names. "
    "Do not solve them. Put each between <question> and </question>.\n\n{examples}"
)
_SOLVE = "Solve the question step by step, and put the final answer in \\boxed{{}}.\n\n{question}"
_QUESTION = re.compile(r"<question>(.+?)</question>", re.DOTALL)

Request = dict[str, Any]


def ask_for_questions(model: str, skill: str, examples: Sequence[str], max_tokens: int) -> Request:
    shown = "\n\n".join(f"<question>{text}</question>" for text in examples)
    text = _WRITE.format(skill=skill, num=NUM_QUESTIONS, examples=shown)
    return _request(model, text, 1, max_tokens)


def ask_for_solutions(model: str, question: str, max_tokens: int) -> Request:
    return _request(model, _SOLVE.format(question=question), NUM_SOLUTIONS, max_tokens)


def read_questions(text: str | None) -> list[str]:
    """The first NUM_QUESTIONS questions of a reply; none where it has no such marks.

    read_questions("<question> 2+2? </question>") is ["2+2?"].
    """
    found = (match.strip() for match in _QUESTION.findall(text or ""))
    return [question for question in dict.fromkeys(found) if 0 < len(question) <= LONGEST][:NUM_QUESTIONS]


def _request(model: str, text: str, num: int, max_tokens: int) -> Request:
    clean = text.encode("utf-8", "replace").decode()
    return {
        "model": model,
        "messages": [{"role": "user", "content": clean}],
        "n": num,
        "temperature": 1.0,
        "max_tokens": max_tokens,
    }
