"""The simulator's prompts as arrays, and rows of them that are made when they are asked for.

Difficulties are drawn, Normal(0, difficulty_sd), or follow from a file's `pass_rate` column, taken to be that
of a policy of ability 0: log((1 - rate) / rate). A prompt's text, category and features, where no file gives
them, tell its *looks* only: its difficulty with an error. A text is words of its category, words of how
difficult it looks, and words that mean nothing. It tells far more than a real one: after 2,000 groups the
text value model explains nine tenths of the variance of p here, and a fifth with a file of real problems.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.curriculum.estimators.tiers import TIERS
from rlkit.prompts.files import read_rows

LOOKS_NOISE_SD = 0.5
"""Logits of error in what looks show of a difficulty."""
PASS_RATE_ROLLOUTS = 16
"""Completions behind the `pass_rate` of a prompt whose difficulty was drawn."""
PASS_RATE_EDGE = 1 / 256
"""A file's rates of 0 and 1 count as this far from them: half of one of 128 completions (ours)."""
CATEGORY_BOUNDS = np.array([-0.7, 0.0, 0.7])
"""Between the categories by looks, in standard deviations of the difficulties: four of about a quarter."""
TIER_BOUNDS = np.array([-0.43, 0.43])
"""Between the tiers by looks: three of about a third."""
TEXT_COLUMNS = ("prompt", "question", "problem")

CATEGORY_WORDS, LEVEL_WORDS, COMMON_WORDS = 4, 6, 6
"""Words of each kind in a text."""
LEVELS = np.linspace(-2, 2, 15)
"""Between the levels of difficulty that have words of their own, in standard deviations."""
SYNONYMS, COMMON = 8, 64
"""Words of a category or a level, and words that mean nothing."""
SOLUTION = "\n".join(f"step {step}" for step in "abcdefghij")
"""Of every prompt: ten lines of one length, so that nine tenths can be revealed."""
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


@dataclass(frozen=True)
class SimulatedPrompts:
    """N prompts."""

    difficulty_N: np.ndarray
    looks_N: np.ndarray
    """On the scale of difficulties, from the mean of these in their standard deviations."""
    pass_rate_N: np.ndarray
    categories: list[str]
    category_N: np.ndarray
    """Positions among `categories`."""
    texts: Callable[[np.ndarray], list[Any]]
    """From (N,) indices to that many prompts."""

    def __len__(self) -> int:
        return len(self.difficulty_N)


class SimulatedRows:
    """Rows by position and columns by name, as a `datasets.Dataset` has them; no row is held in memory."""

    column_names = ("prompt", "pass_rate", "category", "tier", "solution")

    def __init__(self, prompts: SimulatedPrompts):
        self._prompts, self._names = prompts, np.array(prompts.categories, dtype=object)

    def __len__(self) -> int:
        return len(self._prompts)

    def __getitem__(self, key: Any) -> Any:
        """A column by name, a row by its position, or a dict of columns by a list of positions."""
        if isinstance(key, str):
            return self._column(key, np.arange(len(self)))
        if np.ndim(key) == 0:
            return {name: values[0] for name, values in self[[key]].items()}
        index_N = np.asarray(key, dtype=np.int64)
        columns = {name: self._column(name, index_N) for name in self.column_names}
        return {
            name: values if isinstance(values, list) else values.tolist() for name, values in columns.items()
        }

    def _column(self, name: str, index_N: np.ndarray) -> list[Any] | np.ndarray:
        if name == "prompt":
            return self._prompts.texts(index_N)
        if name == "pass_rate":
            return self._prompts.pass_rate_N[index_N]
        if name == "tier":
            return np.array(TIERS, dtype=object)[np.searchsorted(TIER_BOUNDS, self._prompts.looks_N[index_N])]
        if name == "solution":
            return [SOLUTION] * len(index_N)
        return self._names[self._prompts.category_N[index_N]]


def drawn_prompts(num: int, sd: float, rngs: Sequence[np.random.Generator], seed: int) -> SimulatedPrompts:
    """Prompts with difficulties from Normal(0, sd) and rates measured with a policy of ability 0.

    Args:
        rngs: of the difficulties, of the errors of the looks, and of the measured rates.
        seed: of the texts.
    """
    difficulty_N = rngs[0].normal(0.0, sd, num)
    looks_N = difficulty_N + rngs[1].normal(0.0, LOOKS_NOISE_SD, num)
    rate_N = rngs[2].binomial(PASS_RATE_ROLLOUTS, 1 / (1 + np.exp(difficulty_N))) / PASS_RATE_ROLLOUTS
    return _complete(difficulty_N, looks_N / sd, rate_N, seed)


def prompts_from_file(
    path: str | Path, num: int | None, rngs: Sequence[np.random.Generator], seed: int
) -> SimulatedPrompts:
    """Prompts with the rates of a file's rows, and with their texts and categories where it has them.

    Args:
        path: .parquet, .jsonl or .json with a `pass_rate` column (0 to 1); texts are in `prompt`, `question`
            or `problem`.
        num: so many rows, drawn without repeats while there are other ones; None takes all.
        rngs, seed: as of `drawn_prompts`.

    Raises:
        ValueError: the file cannot be read, one of these columns has holes, or a rate is no number in 0 to 1.
    """
    rows = read_rows(path)
    rate_R = np.array(
        [_rate(rate, number, path) for number, rate in enumerate(_values(rows, "pass_rate", path))]
    )
    row_N = np.resize(rngs[0].permutation(len(rows)).astype(np.int32), num or len(rows))
    rate_N = rate_R[row_N]
    edged_N = np.clip(rate_N, PASS_RATE_EDGE, 1 - PASS_RATE_EDGE)
    difficulty_N = np.log((1 - edged_N) / edged_N)
    looks_N = difficulty_N + rngs[1].normal(0.0, LOOKS_NOISE_SD, len(row_N))
    scaled_N = (looks_N - difficulty_N.mean()) / max(difficulty_N.std(), LOOKS_NOISE_SD)
    categories, category_N, texts = None, None, None
    if "category" in rows[0]:
        named, category_R = np.unique(list(map(str, _values(rows, "category", path))), return_inverse=True)
        categories, category_N = named.tolist(), category_R.astype(np.int32)[row_N]
    text_columns = [name for name in TEXT_COLUMNS if name in rows[0]]
    if text_columns:
        texts = partial(_texts_of_rows, _values(rows, text_columns[0], path), row_N)
    return _complete(difficulty_N, scaled_N, rate_N, seed, categories, category_N, texts)


def _texts_of_rows(text_R: list[Any], row_N: np.ndarray, index_N: np.ndarray) -> list[Any]:
    return [text_R[row] for row in row_N[index_N].tolist()]


def _complete(
    difficulty_N: np.ndarray,
    looks_N: np.ndarray,
    rate_N: np.ndarray,
    seed: int,
    categories: list[str] | None = None,
    category_N: np.ndarray | None = None,
    texts: Callable[[np.ndarray], list[Any]] | None = None,
) -> SimulatedPrompts:
    """What is not given follows from the looks."""
    if categories is None or category_N is None:
        categories = [f"category {number}" for number in range(len(CATEGORY_BOUNDS) + 1)]
        category_N = np.searchsorted(CATEGORY_BOUNDS, looks_N).astype(np.int8)
    if texts is None:
        texts = WordTexts(looks_N, category_N, len(categories), seed)
    return SimulatedPrompts(difficulty_N, looks_N, rate_N, categories, category_N, texts)


def _values(rows: list[dict[str, Any]], name: str, path: str | Path) -> list[Any]:
    """A column without holes."""
    for number, row in enumerate(rows):
        if row.get(name) is None:
            raise ValueError(
                f"difficulties ({path}): row {number} has no `{name}` (columns: {', '.join(row)}); give it "
                "in every row"
            )
    return [row[name] for row in rows]


def _rate(rate: Any, number: int, path: str | Path) -> float:
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise ValueError(
            f"difficulties ({path}): `pass_rate` of row {number} is {rate!r} and must be a number in 0 to 1, "
            "the share of right completions; divide percentages by 100"
        )
    return float(rate)


class WordTexts:
    """Texts of prompts by their looks, each a function of its prompt's index and the seed alone."""

    def __init__(self, looks_N: np.ndarray, category_N: np.ndarray, num_categories: int, seed: int):
        self._looks_N, self._category_N, self._seed = looks_N, category_N, seed
        self._num_meanings = len(LEVELS) + 1 + num_categories
        num_words = self._num_meanings * SYNONYMS + COMMON
        self._words = np.array([_word(number) for number in range(num_words)], dtype=object)

    def __call__(self, index_N: np.ndarray) -> list[str]:
        num_words = CATEGORY_WORDS + LEVEL_WORDS + COMMON_WORDS
        chance_NW = _mixed(index_N[:, None] * num_words + np.arange(num_words), self._seed)
        level_N = np.searchsorted(LEVELS, self._looks_N[index_N])
        category_N = len(LEVELS) + 1 + self._category_N[index_N].astype(np.int64)
        meaning_NW = np.repeat(np.stack([category_N, level_N], axis=1), [CATEGORY_WORDS, LEVEL_WORDS], axis=1)
        words_NW = np.concatenate(
            [
                meaning_NW * SYNONYMS + chance_NW[:, :-COMMON_WORDS] % SYNONYMS,
                self._num_meanings * SYNONYMS + chance_NW[:, -COMMON_WORDS:] % COMMON,
            ],
            axis=1,
        )
        return [" ".join(words) for words in self._words[words_NW].tolist()]


def _mixed(number: np.ndarray, seed: int) -> np.ndarray:
    """Evenly spread 31-bit numbers, a function of number and seed (the finalizer of SplitMix64)."""
    z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(33)).astype(np.int64)


def _word(number: int) -> str:
    """0 -> "bababa", 1 -> "bebaba"; distinct up to 343,000."""
    base = len(_SYLLABLES)
    return (
        _SYLLABLES[number % base] + _SYLLABLES[number // base % base] + _SYLLABLES[number // base**2 % base]
    )
