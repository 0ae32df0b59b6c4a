r"""Contamination: which benchmark problems occur in a training file.

Texts are compared as sequences of words, numbers and operators, without case, whitespace, punctuation,
drawings (`[asy]`), and what LaTeX says of layout alone (`\left`, `\,`, `$`, the d of `\dfrac`). A problem
overlaps with a training text that is

    equal       the same sequence;
    contained   it holds the whole problem (of at least N-gram length: "Find x." is no evidence);
    near        it holds at least 70% of the problem's 8-grams.

The share of 8-grams is the rule of PaLM (Chowdhery et al., arXiv 2204.02311, section 8), here within one
training text, since a problem is leaked by one row and not by many that each share a phrase. GPT-3's rule
(Brown et al., arXiv 2005.14165, appendix C: one common 13-gram) takes for a leak what merely has the same
opening, as competition problems do. `near` also finds siblings that differ in a number or in what is asked:
read them. A paraphrase or another language is not found.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rlkit.settings.columns import has_column, value_of

NGRAM = 8
NEAR_SHARE = 0.7

_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|quad|qquad|text|textbf|textit|mathrm|mathbf|mbox|hbox"
    r"|[lcdtv]?dots)(?![a-z])|\\[,;:!\s]|~"
)
_VARIANT = re.compile(r"\\[dtc]?(frac)(?![a-z])|\\([lgn]e)q?(?![a-z])")
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))")
_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?|[-+*/=<>^|]")

Kind = Literal["equal", "contained", "near"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A problem, the training row (from 0) that has most of it, and the share of its 8-grams there."""

    problem: int
    row: int
    kind: Kind
    share: float


def tokens(text: str) -> list[str]:
    r"""A text as it is compared.

    tokens(r"Find $\dfrac{1,000}{x}$, please.") -> ["find", "frac", "1000", "x", "please"]
    """
    text = _DRAWING.sub(" ", unicodedata.normalize("NFKC", text).lower().replace("\u2212", "-"))
    text = _VARIANT.sub(r" \1\2 ", _LAYOUT.sub(" ", text))
    return _TOKEN.findall(_THOUSANDS.sub("", text))


def find_overlaps(problems: Sequence[str], training: Iterable[str]) -> list[Overlap]:
    """The problems that occur in the training texts, in order, each with the first of the rows nearest to it.

    Reads the training texts once, against an index of the problems' 8-grams: seconds for 20,000 x 500.
    """
    problem_tokens = [tuple(tokens(problem)) for problem in problems]
    whole: dict[tuple[str, ...], list[int]] = {}
    index: dict[tuple[str, ...], list[int]] = {}
    for number, words in enumerate(problem_tokens):
        whole.setdefault(words, []).append(number)
        for gram in _ngrams(words):
            index.setdefault(gram, []).append(number)
    sizes = [len(_ngrams(words)) for words in problem_tokens]

    best: dict[int, Overlap] = {}
    for row, text in enumerate(training):
        words = tuple(tokens(text))
        shared = Counter(number for gram in _ngrams(words) & index.keys() for number in index[gram])
        found = [Overlap(number, row, "equal", 1.0) for number in whole.get(words, ()) if words]
        for number, count in shared.items():
            share = count / sizes[number]
            if share == 1 and _holds(words, problem_tokens[number]):
                found.append(Overlap(number, row, "contained", 1.0))
            elif share >= NEAR_SHARE:
                found.append(Overlap(number, row, "near", share))
        for overlap in found:
            if overlap.problem not in best or _rank(overlap) > _rank(best[overlap.problem]):
                best[overlap.problem] = overlap
    return [best[number] for number in sorted(best)]


def prompt_texts(rows: Iterable[Mapping[str, Any]], column: str) -> list[str]:
    """The texts of a column that holds text, or messages (those of the user, else all, joined)."""
    texts = []
    for position, row in enumerate(rows):
        if not has_column(row, column):
            raise ValueError(
                f"row {position} of the training file has no column {column!r}; its columns are "
                f"{sorted(row)}: name one by --prompt-column"
            )
        value = value_of(row, column)
        if isinstance(value, list):
            asked = [message for message in value if message.get("role") == "user"] or value
            value = "\n".join(str(message.get("content", "")) for message in asked)
        texts.append(str(value))
    return texts


def _ngrams(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    return set(zip(*(words[start:] for start in range(NGRAM)), strict=False))


def _holds(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return f" {' '.join(part)} " in f" {' '.join(words)} "


def _rank(overlap: Overlap) -> tuple[int, float]:
    return ("near", "contained", "equal").index(overlap.kind), overlap.share
