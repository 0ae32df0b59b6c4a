"""What the tests of a program gave."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How many tests a program passed, of how many; of none where it could not be tested.

    `why` says what went wrong first: why there is nothing to pass, or why the first test failed. `not_run`:
    the machine is at fault (no sandbox came up, its load took the time), not the row.
    """

    passed: int
    total: int
    why: str | None = None
    not_run: bool = False

    def reward(self, share: bool) -> float | None:
        """The share passed, or 1.0 only for all; None where there was nothing to pass."""
        if not self.total:
            return None
        return self.passed / self.total if share else float(self.passed == self.total)


def unusable(why: str) -> Outcome:
    """The row's own tests are at fault."""
    return Outcome(0, 0, why)


def not_run(error: Exception) -> Outcome:
    """The machine is at fault."""
    return Outcome(0, 0, f"not run: {error}", not_run=True)
