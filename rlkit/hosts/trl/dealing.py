"""Which rows of an optimizer step go to which process and micro-batch, by their lengths.

Shapes: R rows, N micro-batches, or W processes with P micro-batches each, of B rows.
"""

import math

import numpy as np


def dealt_rows(prompt_R: np.ndarray, completion_R: np.ndarray, num_ranks: int, num_parts: int) -> np.ndarray:
    """The rows of an optimizer step by process and micro-batch, (W, P, B).

    As they are where dealing saves nothing: a micro-batch costs its longest prompt and longest completion,
    and in each turn the processes wait for the longest.

    Args:
        prompt_R: tokens of each row's prompt, rows in the order of processes and micro-batches.
        completion_R: tokens of its completion.
    """
    as_is = np.arange(len(prompt_R)).reshape(num_ranks, num_parts, -1)
    longest_first = np.argsort(-(prompt_R + completion_R), kind="stable")
    part_NB = longest_first.reshape(num_ranks * num_parts, -1)
    width_N = prompt_R[part_NB].max(axis=1) + completion_R[part_NB].max(axis=1)
    dealt = np.stack([part_NB[sorted(positions)] for positions in deal(width_N, num_ranks)])

    def cost(row_WPB: np.ndarray) -> int:
        width_WP = prompt_R[row_WPB].max(axis=2) + completion_R[row_WPB].max(axis=2)
        return width_WP.max(axis=0).sum()

    return dealt if cost(dealt) < cost(as_is) else as_is


def deal(load_N: np.ndarray, num_ranks: int) -> list[list[int]]:
    """Positions for each process, equally many as far as can be: the longest first to the lightest with room;
    then the heaviest and the lightest exchange what brings them nearest, as long as something does.

    (9, 7, 6, 5, 4) on two: first 14 and 17, then 15 and 16.
    """
    room = math.ceil(len(load_N) / num_ranks)
    held: list[list[int]] = [[] for _ in range(num_ranks)]

    def load(positions: list[int]) -> int:
        return int(load_N[positions].sum())

    for position in np.argsort(-load_N, kind="stable").tolist():
        with_room = [positions for positions in held if len(positions) < room]
        min(with_room, key=lambda positions: (load(positions), len(positions))).append(position)
    while True:
        light, heavy = min(held, key=load), max(held, key=load)
        gap = load(heavy) - load(light)
        left_over_HL = np.abs(gap - 2 * (load_N[heavy][:, None] - load_N[light][None, :]))
        if gap == 0 or left_over_HL.min() >= gap:
            return held
        h, n = np.unravel_index(left_over_HL.argmin(), left_over_HL.shape)
        heavy[h], light[n] = light[n], heavy[h]
