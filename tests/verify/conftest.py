"""Fixtures of the tests that run programs."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
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


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, descriptor or file is left by the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    processes = psutil.Process().children(recursive=True)  # of other tests: math-verify's
    descriptors = os.listdir("/proc/self/fd")
    yield
    assert psutil.Process().children(recursive=True) == processes
    assert os.listdir("/proc/self/fd") == descriptors
    assert list(tmp_path.iterdir()) == []
    for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/usr", str(Path.home()), "/work", os.getcwd()):
        assert not Path(folder, "rlkit_escape").exists()
