"""Fixtures of the tests that run programs."""

import pytest

from rlkit.verify.sandbox import isolation


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skips where programs cannot be isolated, and says why."""
    try:
        isolated = isolation()
    except ValueError as error:
        pytest.skip(str(error))
    if not isolated:
        pytest.skip("programs run without bubblewrap here")
