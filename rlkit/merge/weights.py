"""How much of each checkpoint is in the average."""


def shares(num: int, a: float = 0.5, b: float = 0.5) -> tuple[float, ...]:
    """The checkpoints' shares, which sum to 1.

    Of three, Balanced Actor Initialization's (arXiv 2509.00309): b (a instruct + (1 - a) distilled) + (1 - b)
    base; its ratios were not published, one half each is ours. Of two: a first + (1 - a) second.

    Raises:
        ValueError: another number of checkpoints, or a share out of [0, 1].
    """
    for name, value in (("a", a), ("b", b)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} ({value}) must be between 0 and 1")
    if num == 2:
        return a, 1 - a
    if num == 3:
        return b * a, b * (1 - a), 1 - b
    raise ValueError(f"models: {num} were given; average two (A B) or three (INSTRUCT DISTILLED BASE)")
