r"""An answer of several parts, "x = 3 or x = -1": how the parts are joined, and one way to write them.

math-verify compares lists, sets and tuples, and reads `\text{ or }`. Left to do here: formulas that stand
each in dollars of their own, names that say nothing, thousands in a list. A list within brackets is left as
it is.
"""

import re

SPACE = r"(?:\s|[~$*&]|\\[,;:! ]|\\[()\[\]])"  # also the ends of formulas
_WORD = r"(?:and|or)(?![A-Za-z])"
_SIGN = r"(?:[,;]|\\q?quad(?![a-z])|\\(?:lor|vee|land|wedge)(?![a-z]))"
_TEXT_WORD = r"\\(?:text|textrm|mathrm|mbox)\s*\{\s*,?\s*(?:and|or)\s*,?\s*\}"
JOINER = rf"(?:{SPACE}*+(?:{_SIGN}|{_TEXT_WORD}|(?<![A-Za-z\\]){_WORD}))++{SPACE}*+"
NAME = (
    r"(?:(?:\\?[A-Za-z]|\\[a-z]{2,7}|[A-Z]{2,5})(?:_(?:\w|\{\w{1,3}\}))?'?(?:\(\w\))?"
    r"|m?\\(?:angle|triangle|overline)\s*\{?[A-Z]{1,5}\}?|\([a-z](?:,\s*[a-z]){1,3}\))"
)

_NAMED = re.compile(rf"\s*({NAME})\s*&?=\s*(.+)", re.DOTALL)
_FORMULA = re.compile(r"^\$([^$]+)\$$|^\\\(((?:(?!\\\)).)+)\\\)$", re.DOTALL)
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})*(?:\.\d+)?", re.ASCII)
# A comma before a digit may group thousands or stand in "x = 1,2".
_SPLIT = re.compile(
    rf"(?P<joiner>\s*+(?:,(?!\d)\s*+|;\s*+|\\q?quad(?![a-z])\s*+|{_TEXT_WORD}\s*+|(?<![A-Za-z\\]){_WORD}\s*+)++)"
    r"|(?P<open>\\?\{|[(\[])|(?P<close>\\?\}|[)\]])|\\.",
    re.DOTALL,
)


def rewrite_parts(answer: str) -> str:
    r"""The answer with its parts as math-verify reads them; as it is where there is nothing to rewrite.

    "$x_1 = 3$, $x_2 = -1$" becomes "x_1 = 3, x_2 = -1"; "x = 3 or x = -1" is "3, -1"; "y=3, x=5" is
    "x=5, y=3", as (5, 3) is; "1,000 and 2,000" is "1000, 2000".
    """
    if not ("=" in answer or "$" in answer or "," in answer or "\\(" in answer):
        return answer
    parts = _split(answer)
    if len(parts) < 2:
        return answer
    bare = [_FORMULA.sub(r"\1\2", part).strip() for part in parts]
    named = [found for part in bare if (found := _NAMED.fullmatch(part))]
    names = [found[1] for found in named]
    if len(named) == len(parts) and len(set(names)) == 1:
        return ", ".join(found[2] for found in named)
    if len(named) == len(parts) and len(set(names)) == len(names) and set(names) <= set("xyz"):
        return ", ".join(sorted(bare))
    if all(_THOUSANDS.fullmatch(part) for part in bare):
        return ", ".join(part.replace(",", "") for part in bare)
    return ", ".join(bare) if bare != parts else answer


def _split(answer: str) -> list[str]:
    """The parts between the joiners that stand outside of all brackets."""
    parts, start, depth = [], 0, 0
    for token in _SPLIT.finditer(answer):
        depth += (token["open"] is not None) - (token["close"] is not None)
        if token["joiner"] and depth == 0:
            parts.append(answer[start : token.start()])
            start = token.end()
    return [part.strip() for part in (*parts, answer[start:])]
