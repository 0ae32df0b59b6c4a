"""The directions in which the texts of a pool differ most: latent semantic analysis of their terms.

    number_k = sum over a prompt's frequent terms of weight * direction_k,   |weight| = 1

The directions are the largest right singular vectors of a sample's weighted terms (Deerwester et al. 1990),
by randomized subspace iteration (Halko et al., arXiv 0909.4061). They need no outcome: a few hundred groups
suffice to learn what a topic says of success, though they show each of its words but a few times.
"""

from typing import Any

import numpy as np

from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed

NUM_DIRECTIONS = 32
NUM_BUCKETS = 4096
"""The most frequent ones: a sample does not show with which others a rare term goes."""
EXTRA, ROUNDS = 10, 4
"""Directions beyond those that are kept while iterating, and iterations."""
CHUNK = 64
"""Prompts at a time, so that the work stays in the processor's cache."""


class Directions:
    """Called with N prompts' weighted terms it gives (N, `NUM_DIRECTIONS`) numbers.

    Args:
        sample: weighted terms of a sample of the pool.
    """

    def __init__(self, sample: Hashed):
        seen_W = np.bincount(sample.bucket_E, minlength=WIDTH)
        self._bucket_B = np.argsort(-seen_W, kind="stable")[:NUM_BUCKETS].astype(np.int32)
        self._place_buckets()
        place_E, weight_E, start_N = self._frequent(sample)
        matrix_NB = np.zeros((len(sample), NUM_BUCKETS), dtype=np.float32)
        matrix_NB[np.repeat(np.arange(len(sample)), np.diff(start_N)), place_E] = weight_E
        rng = np.random.default_rng(0)
        basis_BK = rng.normal(size=(NUM_BUCKETS, NUM_DIRECTIONS + EXTRA)).astype(np.float32)
        for _ in range(ROUNDS):
            basis_BK = np.linalg.qr(matrix_NB.T @ (matrix_NB @ basis_BK))[0]
        image_NK = matrix_NB @ basis_BK
        rotation_KK = np.linalg.eigh(image_NK.T @ image_NK)[1]  # from the smallest
        self._direction_BK = np.ascontiguousarray(basis_BK @ rotation_KK[:, : -NUM_DIRECTIONS - 1 : -1])

    @classmethod
    def worth(cls, sample: Hashed) -> "Directions | None":
        """None where they would say less than the terms: prompts of fewer terms, or few prompts."""
        terms_N = np.diff(sample.start_N)
        if len(sample) <= NUM_DIRECTIONS + EXTRA or np.median(terms_N) <= NUM_DIRECTIONS:
            return None
        return cls(sample)

    def __call__(self, terms: Hashed) -> np.ndarray:
        number_NK = np.zeros((len(terms), NUM_DIRECTIONS), dtype=np.float32)
        place_E, weight_E, start_N = self._frequent(terms)
        with_terms = np.flatnonzero(np.diff(start_N))
        for first in range(0, len(with_terms), CHUNK):
            chunk = with_terms[first : first + CHUNK]
            start, end = start_N[chunk[0]], start_N[chunk[-1] + 1]
            value_EK = self._direction_BK[place_E[start:end]]
            value_EK *= weight_E[start:end, None]
            number_NK[chunk] = np.add.reduceat(value_EK, start_N[chunk] - start)
        return number_NK

    def _place_buckets(self) -> None:
        self._place_W = np.full(WIDTH, -1, dtype=np.int16)
        self._place_W[self._bucket_B] = np.arange(NUM_BUCKETS)

    def _frequent(self, terms: Hashed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Place among the frequent buckets and weight of the terms there, and each prompt's start."""
        place_E = self._place_W[terms.bucket_E]
        frequent = np.flatnonzero(place_E >= 0)
        start_N = np.searchsorted(frequent, terms.start_N)
        found = Hashed(start_N, place_E[frequent], terms.weight_E[frequent], terms.number_NK)
        length_N = np.sqrt(found.sums(found.weight_E**2))
        return found.bucket_E, found.weight_E / np.repeat(length_N, np.diff(start_N)), start_N

    def state_dict(self) -> dict[str, Any]:
        """The directions too: on another machine, or with other rows, they may turn."""
        return {"bucket_B": self._bucket_B, "direction_BK": self._direction_BK}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._bucket_B, self._direction_BK = np.array(state["bucket_B"]), np.array(state["direction_BK"])
        self._place_buckets()
