r"""What a text without a box answers: what follows "the answer is", else its last formula or number.

Formulas or numbers that are joined up to the end of their sentence are one answer ("The roots are $3$ and
$-1$."), as boxes are. A formula that only names something (`of $PQRS$`) is no answer where there is another.
What stands outside of formulas and is not announced is read as numbers only: "so x is 2\sqrt{3}" is left out.
"""

import re

from rlkit.verify.boxes import MAX_ANSWER_CHARS
from rlkit.verify.parts import JOINER, NAME

# A minus after a word, a digit or a bracket subtracts ("x-3"). Possessive, so that "32" is not found as "3".
_GROUP = r"(?:,|\{,\}|,\\!|\\[,;:!]|\\thinspace\s|[\u2009\u202f])\d{3}"
_DIGITS = rf"(?:\d{{1,3}}(?:{_GROUP})++(?!\d)|\d++)(?:\.\d++)?+|\.\d++"
NUMBER = re.compile(rf"(?:(?<![\w.)])[-+\u2212]\$?|(?<![\d.]))(?:{_DIGITS})", re.ASCII)
# Formulas by pandoc's rule (tex_math_dollars), so that "$18 and $20" is money; or a number, perhaps a
# fraction or a percentage, that is not the left side of a sum or an equation.
_EXPRESSION = re.compile(
    r"\$\$(?P<display>[^$]{1,400}?)\$\$|\$(?P<dollars>(?!\s)[^$\n]{1,400}?)(?<![\s\\])\$(?!\d)"
    r"|\\\((?P<round>.{1,400}?)\\\)|\\\[(?P<square>.{1,400}?)\\\]"
    r"|(?P<matrix>(?:(?:\\left\s*)?[\[(]\s*)?\\begin\{(?P<kind>[bpv]?matrix|array)\}.{1,400}?\\end\{(?P=kind)\}"
    r"(?:\s*(?:\\right\s*)?[\])])?)"
    r"|(?P<fraction>-?\\[dt]?frac\{[^{}]{1,50}\}\{[^{}]{1,50}\})"
    rf"|(?P<number>{NUMBER.pattern}(?:[eE][-+]?\d++)?+(?:/\d++)?+(?:\s?\\?%)?+)(?!\s*[-+*/^=]\s*[\d(])",
    re.ASCII | re.DOTALL,
)
_ANNOUNCED = re.compile(r"\banswers?\b[^.\n=:]{0,60}?(?:\bis\b|\bare\b|[:=])", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=[\s*]|$)|\n")
_JOINER = re.compile(JOINER)
_LIST_END = re.compile(r"\$?(?:\s+[a-z]+){0,2}\s*(?:[.;!\n]|$)")
_NAME = re.compile(NAME)
_RELATION = re.compile(r"[=<>]|\\(?:leq?|geq?|in|ne|equiv|approx)(?![a-z])")
_AFTER_VERB = re.compile(r"(?:\b(?:is|are|be|equals?)|[:=])\s*$")
_UNITS = re.compile(r"(?:\s+(?!and\b|or\b)[A-Za-z]{2,}(?:\^\{?\d\}?)?){1,3}$")
_MARKS = re.compile(r"\$|\\[(\[]|\\begin|^\([A-Z]\)\s*\S")  # the last: a choice with its text
_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:and|or|sqrt|pi|sin|cos|tan|log|ln)\b)[A-Za-z]{2,}")
_TEXT = re.compile(r"\\(?:text|mathrm|mbox)\{[^{}]*\}")


def last_expression(text: str) -> str | None:
    """The announced answer that comes last, else the last expression; None if there is neither."""
    end = len(text)
    for announcement in reversed(list(_ANNOUNCED.finditer(text))):
        stated = _announced(text[announcement.end() : end])
        if stated is not None:
            return stated
        end = announcement.start()
    lists = _lists(text)
    formulas = [found for found in lists if not _is_label(text, found)]
    if not lists:
        return None
    last = (formulas or lists)[-1]
    together = _lists_values(last) and _ends_sentence(text, last)
    return _joined(last) if together else _joined(last[-1:])


def _announced(text: str) -> str | None:
    """All of the sentence, without its unit, if it is one expression; else its first that is no label."""
    text = text.lstrip(" :=*\n")
    end = _SENTENCE_END.search(text)
    sentence = _UNITS.sub("", text[: end.start()] if end else text).strip("* ")
    if _is_bare(sentence):
        return sentence
    lists = _lists(text)
    in_sentence = [found for found in lists if end is None or found[0].start() < end.start()]
    matrices = [found for found in in_sentence if found[0]["matrix"]]  # in "A^{-1} = " is a number
    answers = [found for found in in_sentence if not _is_label(text, found)]
    if not lists:
        return None
    first = (matrices or answers or lists)[0]
    return _joined(first) if _ends_sentence(text, first) else _joined(first[:1])


def _is_bare(sentence: str) -> bool:
    """Whether it is mathematics without marks: no words, no dollars; a matrix may go over several lines."""
    return (
        0 < len(sentence) <= MAX_ANSWER_CHARS
        and re.search(r"\w", sentence) is not None
        and _MARKS.search(sentence) is None
        and _WORD.search(_TEXT.sub("", sentence)) is None
    )


def _lists(text: str) -> list[list[re.Match[str]]]:
    """The expressions of a text, those with a joiner between them together."""
    lists: list[list[re.Match[str]]] = []
    for found in _EXPRESSION.finditer(text):
        if lists and _JOINER.fullmatch(text, lists[-1][-1].end(), found.start()):
            lists[-1].append(found)
        else:
            lists.append([found])
    return lists


def _is_label(text: str, found: list[re.Match[str]]) -> bool:
    """Whether it is names only, and not what something "is"."""
    before = text[max(0, found[0].start() - 20) : found[0].start()]
    named = all(_NAME.fullmatch(_content(part)) for part in found)
    return named and before != "" and not _AFTER_VERB.search(before)


def _lists_values(found: list[re.Match[str]]) -> bool:
    """Whether these are values of one thing: "$x = 3$ or $x = -1$", not "as $n > 0$, $x = 3$"."""
    contents = [_content(part) for part in found]
    named = [re.match(rf"({NAME})\s*=", content) for content in contents]
    one_name = all(named) and len({name[1] for name in named if name}) == 1
    formulas = all(part["number"] is None for part in found)
    return formulas and (one_name or not any(_RELATION.search(content) for content in contents))


def _ends_sentence(text: str, found: list[re.Match[str]]) -> bool:
    """Whether its sentence says no more than a unit or "respectively" behind it."""
    return _LIST_END.match(text, found[-1].end()) is not None


def _joined(found: list[re.Match[str]]) -> str | None:
    answer = ", ".join(_content(part).rstrip(",.") for part in found)
    return answer if 0 < len(answer) <= MAX_ANSWER_CHARS else None


def _content(found: re.Match[str]) -> str:
    return found[found.lastgroup or 0].strip()
