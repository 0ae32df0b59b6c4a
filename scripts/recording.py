"""What `record_policy.py` left: a pool, what the policy showed of it, and how its completions came out."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rlkit.curriculum.estimators import Reading
from rlkit.prompts.pool import PromptPool

LAYERS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)


class Recording:
    """Stands for the policy of one label: a host's senses, and outcomes (N, G).

    The first of the pool's rows that have been recorded, which are in random order.
    """

    shows = ("states", "likelihood", "perplexity")

    def __init__(self, folder: Path, label: str):
        first = sorted((folder / label).glob("pass0-*.npz"))
        parts = [np.load(file) for file in first]
        self.state_NL2H = np.concatenate([part["state_NL2H"] for part in parts])
        self.likelihood_N4 = np.concatenate([part["likelihood_N4"] for part in parts])
        passes = []
        for number in range(100):
            files = [file.with_name(file.name.replace("pass0", f"pass{number}")) for file in first]
            if not all(file.exists() for file in files):
                break
            passes.append(np.concatenate([np.load(file)["right_NG"] for file in files]))
        self.right_NG = np.concatenate(passes, axis=1)
        self.rows = pq.read_table(folder / "prompts.parquet").to_pylist()[: len(self.right_NG)]

    def __len__(self) -> int:
        return len(self.rows)

    def pool(self) -> PromptPool:
        return PromptPool(self.rows, np.arange(len(self), dtype=np.uint64))

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        state = None if layer is None else self.state_NL2H[index_N, LAYERS.index(layer)]
        likelihood_N4 = self.likelihood_N4[index_N]
        return Reading(state, None if reference_N is None else likelihood_N4[:, :3], likelihood_N4[:, 3])

    def features(self, index_N: np.ndarray) -> np.ndarray:
        return self.state_NL2H[index_N, -1, 0]

    def scores(self, index_N: np.ndarray, mean_N: np.ndarray) -> dict[str, float]:
        """Of the true rates, of which the observed ones are noisy counts.

        The variance of the truth is that of the observed rates less p(1 - p) / (G - 1) of each: what is
        explained of it is 1 - (MSE - noise) / (variance - noise).
        """
        right_NG = self.right_NG[index_N]
        rate_N, num = right_NG.mean(axis=1), right_NG.shape[1]
        noise = np.mean(rate_N * (1 - rate_N)) / (num - 1)
        error_N = rate_N - mean_N
        return {
            "explained": 1 - (np.var(error_N) - noise) / (np.var(rate_N) - noise),
            "of_observed": 1 - np.var(error_N) / np.var(rate_N),
            "spearman": _spearman(mean_N, rate_N),
            "brier": float(np.mean((right_NG - mean_N[:, None]) ** 2)),
            "calibration": _calibration(mean_N, rate_N),
        }


def _spearman(one_N: np.ndarray, other_N: np.ndarray) -> float:
    from rlkit.curriculum.calibration import spearman

    return spearman(one_N, other_N) or 0.0


def _calibration(mean_N: np.ndarray, rate_N: np.ndarray, bins: int = 5) -> float:
    """Mean distance of predicted from observed, over as many bins of equal size."""
    parts = np.array_split(np.argsort(mean_N), bins)
    return float(np.mean([abs(mean_N[part].mean() - rate_N[part].mean()) for part in parts]))
