"""Guards the text feature: its terms are those of a plain reading, whatever the company."""

import re

import numpy as np

from rlkit.curriculum.estimators.features.hashed import rarity
from rlkit.curriculum.estimators.features.text import MAX_LENGTH, text_features

TOKEN = re.compile(r"\\?[a-z]+|\d+|[^\sa-z\d]")


def test_hashed_ngrams_are_those_of_a_plain_reading():
    texts = [
        "Add  TWO and 23: \\frac{1}{2}?",
        "",
        "add two",
        "\u00e9t\u00e9 x^2\n$x$",
        "   ",
        "a" * 3 * MAX_LENGTH,
    ]
    features = text_features(texts)
    for row, text in enumerate(texts):
        tokens = TOKEN.findall(text.lower().replace("\u00e9", "e"))[:MAX_LENGTH]
        grams = {tuple(tokens[k : k + n]) for n in (1, 2, 3) for k in range(len(tokens) - n + 1)}
        assert features.start_N[row + 1] - features.start_N[row] == len(grams)


def test_features_do_not_depend_on_the_company_and_ignore_case_and_space():
    texts = [f"Problem {row}: add word{row % 50} and ${row}$?" for row in range(700)]
    together = text_features(texts)
    for row in (0, 255, 256, 699):
        alone, among = text_features([texts[row]]), together.take(np.array([row]))
        np.testing.assert_array_equal(alone.bucket_E, among.bucket_E)
        np.testing.assert_array_equal(alone.weight_E, among.weight_E)
        np.testing.assert_array_equal(alone.number_NK, among.number_NK)
    first, second = text_features(["add two and three"]), text_features(["Add  TWO and three"])
    np.testing.assert_array_equal(first.bucket_E, second.bucket_E)
    assert text_features(["add two"]).bucket_E.tolist() == text_features(["add two"]).bucket_E.tolist()


def test_weights_have_unit_length_and_rare_ones_weigh_more():
    features = text_features(["add two", "add four", "add", ""])
    weighted = features.weighted(rarity(features))
    np.testing.assert_allclose(weighted.sums(weighted.weight_E**2), [1, 1, 1, 0], rtol=1e-5)
    common = text_features(["add"]).bucket_E[0]
    first = weighted.take(np.array([0]))
    assert first.weight_E[first.bucket_E == common] < first.weight_E[first.bucket_E != common].min()
