"""Settings of all tests: offline, one thread a process, no time limit for properties; and a browser."""

import os
import shutil
from pathlib import Path

# Before any library reads them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("rlkit", deadline=None)
settings.load_profile("rlkit")


@pytest.fixture(scope="module")  # while it is open, no other test of the process can run an event loop
def browser():
    """Headless Chromium; skipped where it or Playwright is missing (README: how to install them)."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (.[dev])")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as started:
        if path is None and not Path(started.chromium.executable_path).exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        # Root, as in containers, has no use of Chromium's own sandbox; the pages are ours.
        launched = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()
