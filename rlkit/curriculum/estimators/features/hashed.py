"""What features give: terms in `WIDTH` buckets by a stable hash (arXiv 0902.2206), and numbers."""

from dataclasses import dataclass, replace

import numpy as np

BITS = 20
WIDTH = 1 << BITS
MIX = np.uint32(668265263)


@dataclass(frozen=True, slots=True)
class Hashed:
    """Of N prompts: the terms of prompt i at `start_N[i]:start_N[i + 1]`, and K plain numbers.

    `bucket_E` are their buckets, `weight_E` their weights: log(1 + count) until `rarity` has been applied.
    """

    start_N: np.ndarray  # (N + 1,) int64
    bucket_E: np.ndarray  # (E,) int32
    weight_E: np.ndarray  # (E,) float32
    number_NK: np.ndarray  # (N, K) float32

    def __len__(self) -> int:
        return len(self.number_NK)

    def sums(self, value_E: np.ndarray) -> np.ndarray:
        """(N,) sums over each prompt's terms."""
        sum_N = np.add.reduceat(np.append(value_E, value_E.dtype.type(0)), self.start_N[:-1])
        sum_N[self.start_N[1:] == self.start_N[:-1]] = 0
        return sum_N

    def weighted(self, rarity_W: np.ndarray) -> "Hashed":
        """Weights times the rarity of their buckets, each prompt's scaled to unit length."""
        weight_E = self.weight_E * rarity_W[self.bucket_E]
        scale_N = 1 / np.maximum(np.sqrt(self.sums(weight_E**2)), np.float32(1e-6))
        weight_E *= np.repeat(scale_N, np.diff(self.start_N))
        return Hashed(self.start_N, self.bucket_E, weight_E, self.number_NK)

    def take(self, positions: np.ndarray) -> "Hashed":
        num = np.diff(self.start_N)[positions]
        start = np.concatenate([[0], np.cumsum(num)])
        source = np.arange(start[-1]) + np.repeat(self.start_N[positions] - start[:-1], num)
        return Hashed(start, self.bucket_E[source], self.weight_E[source], self.number_NK[positions])

    @classmethod
    def concatenate(cls, parts: "list[Hashed]") -> "Hashed":
        num = np.concatenate([np.diff(part.start_N) for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(num)]),
            np.concatenate([part.bucket_E for part in parts]),
            np.concatenate([part.weight_E for part in parts]),
            np.concatenate([part.number_NK for part in parts]),
        )

    def without_numbers(self) -> "Hashed":
        return replace(self, number_NK=self.number_NK[:, :0])

    @classmethod
    def joined(cls, parts: "list[Hashed]") -> "Hashed":
        """Each prompt's terms and numbers of all parts."""
        if len(parts) == 1:
            return parts[0]
        num_PN = np.stack([np.diff(part.start_N) for part in parts])
        start_N = np.concatenate([[0], np.cumsum(num_PN.sum(axis=0))])
        bucket_E = np.empty(start_N[-1], dtype=np.int32)
        weight_E = np.empty(start_N[-1], dtype=np.float32)
        first_N = start_N[:-1]
        for part, num_N in zip(parts, num_PN, strict=True):
            place_E = np.arange(len(part.bucket_E)) + np.repeat(first_N - part.start_N[:-1], num_N)
            bucket_E[place_E], weight_E[place_E] = part.bucket_E, part.weight_E
            first_N = first_N + num_N
        return cls(start_N, bucket_E, weight_E, np.concatenate([part.number_NK for part in parts], axis=1))


def grouped(row_E: np.ndarray, hash_E: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, buckets and log(1 + count) of the terms of `num` rows, below 4096, by 32-bit hashes"""
    hash_E = (hash_E ^ (hash_E >> np.uint32(15))) * MIX
    key_E = (row_E.astype(np.uint32) << np.uint32(BITS)) | (hash_E >> np.uint32(32 - BITS))
    key_E.sort()
    first = np.flatnonzero(np.concatenate([[True], key_E[1:] != key_E[:-1]])[: len(key_E)])
    weight_E = np.log1p(np.diff(first, append=len(key_E))).astype(np.float32)
    key_E = key_E[first]
    start_N = np.searchsorted(key_E, np.arange(num + 1, dtype=np.uint32) << np.uint32(BITS))
    return start_N, (key_E & np.uint32(WIDTH - 1)).astype(np.int32), weight_E


def rarity(features: Hashed) -> np.ndarray:
    """(WIDTH,) log of one over the share of these prompts that have a bucket, plus 1; smoothed."""
    seen_W = np.bincount(features.bucket_E, minlength=WIDTH)
    return (np.log((1 + len(features)) / (1 + seen_W)) + 1).astype(np.float32)
