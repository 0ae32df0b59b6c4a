r"""The answer that a completion marks as such: in `<answer>` tags, or in a box."""

from rlkit.verify.answers import find_answer

_OPEN, _CLOSE = "<answer>", "</answer>"


def marked_answer(text: str) -> str | None:
    r"""What the last `<answer>...</answer>` holds, else the last `\boxed{}`; None if there is neither.

    marked_answer("<answer> 3 * 8 </answer>") is "3 * 8". A box is read as in `find_answer`; the content of
    the tags may be of any length, and empty.
    """
    end = text.rfind(_CLOSE)
    start = text.rfind(_OPEN, 0, end) if end >= 0 else -1
    return text[start + len(_OPEN) : end].strip() if start >= 0 else find_answer(text, "boxed")
