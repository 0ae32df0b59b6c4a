r"""The share of the completion's prose that is in the row's `language`, an ISO 639-1 code as "en" or "zh".

As DeepSeek-R1's language consistency reward (arXiv 2501.12948), but by pieces of text instead of by words.
Code, LaTeX and tags are left out, and at most MAX_PIECES pieces, from the beginning and the end, are read.
None (unscorable) where too little prose is left to tell, and where a row's language is None. Identified by
py3langid, a small model that always says the same of the same text: pip install 'rlkit[language]'.

For one language for all rows, in a file of yours that the recipe names as mine.py:german:

    german = Language("de")
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

from rlkit.verify.text import Completion, completion_text

PIECE_CHARS = 300
MAX_PIECES = 40
MIN_LETTERS = 20

_MAX_CHARS = 4 * PIECE_CHARS * MAX_PIECES  # before code and formulas are taken out
_NOT_PROSE = re.compile(
    r"```.{0,4000}?(?:```|$)|`[^`\n]{0,400}`|\$\$.{1,2000}?\$\$|\$[^$\n]{1,400}\$"
    r"|\\\[(?:(?!\\\[).){0,2000}?\\\]|\\\((?:(?!\\\().){0,400}?\\\)|\\[A-Za-z]+(?:\{[^{}]{0,200}\})*|</?\w{1,20}>|https?://\S{1,400}",
    re.DOTALL,
)


@dataclass(frozen=True)
class Language:
    """The reward for one language, or for that of each row's `language` where `code` is None."""

    code: str | None = None

    __name__ = "language"  # of its metrics

    def __call__(
        self, completions: list[Completion], language: list[str | None] | None = None, **_: Any
    ) -> list[float | None]:
        """Score the language of each completion; a ValueError where nothing says which it must be."""
        if self.code is None and language is None:
            raise ValueError("language needs a column language (an ISO 639-1 code) or Language('en')")
        codes = language if self.code is None and language is not None else [self.code] * len(completions)
        return [
            None if code is None else share_in(code, completion_text(completion))
            for completion, code in zip(completions, codes, strict=True)
        ]


def share_in(code: str, text: str) -> float | None:
    """The share of a text's letters that stand in pieces of that language; None below MIN_LETTERS letters.

    share_in("en", "Das ist die Antwort auf die Frage.") is 0.0. A ValueError names a code that py3langid does
    not know.
    """
    identifier = _identifier()
    if code not in identifier.labels:
        raise ValueError(f"language {code!r} is not one of py3langid's: {', '.join(identifier.labels)}")
    pieces = _pieces(_ends(text, _MAX_CHARS))
    letters = [sum(map(str.isalpha, piece)) for piece in pieces]
    if sum(letters) < MIN_LETTERS:
        return None
    found = [identifier.classify(piece)[0] for piece in pieces]
    return sum(n for n, name in zip(letters, found, strict=True) if name == code) / sum(letters)


def _pieces(text: str) -> list[str]:
    prose = " ".join(_NOT_PROSE.sub(" ", text).split())
    prose = _ends(prose, PIECE_CHARS * MAX_PIECES)
    prose = prose.encode("utf-8", "ignore").decode()  # half a surrogate pair is no letter
    count = max(1, round(len(prose) / PIECE_CHARS))  # of equal length: a short rest would be a guess
    return [prose[len(prose) * i // count : len(prose) * (i + 1) // count] for i in range(count)]


def _ends(text: str, num_chars: int) -> str:
    half = num_chars // 2
    return text if len(text) <= num_chars else text[:half] + " " + text[-half:]


@functools.cache
def _identifier() -> Any:
    try:
        from py3langid import langid
    except ImportError as error:
        raise ValueError("the language reward needs py3langid: pip install 'rlkit[language]'") from error
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)


language = Language()
