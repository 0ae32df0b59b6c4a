"""What the tests of the page share: runs that the simulator wrote, and a real browser."""

import importlib.util
from pathlib import Path

import pytest

from rlkit.hosts.simulated.host import SimulationConfig
from rlkit.settings.config import CurriculumConfig

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_report.py"


@pytest.fixture(scope="session")
def bench_report():
    """The benchmark as a module: it writes runs with the ledger's own writer."""
    spec = importlib.util.spec_from_file_location("bench_report", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_run(bench_report):
    """write_run(folder, preset, steps=20, ...): a run with the simulated policy."""

    def write(folder: Path, preset: str = "rlkit", keep: str = "extremes", **simulation) -> Path:
        settings = {"num_steps": 20, "groups_per_step": 8, "num_prompts": 100, **simulation}
        config = CurriculumConfig(preset, keep_completions=keep)
        bench_report.write_run(folder, config, SimulationConfig(**settings), words=5)
        return folder

    return write


class Opened:
    """A page in the browser, with all that it said, asked and requested."""

    def __init__(self, browser, width: int = 1280, dark: bool = False):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _dialog(self, dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.complaints.append(f"request: {request.url}")

    def open(self, path: Path):
        self.page.goto(path.resolve().as_uri())
        self.page.wait_for_function("rlkitPage.charts.size > 0")
        return self.page


@pytest.fixture
def opened(browser):
    """opened(path, width=1280, dark=False) -> the page. It must say, ask and request nothing by the end."""
    pages = []

    def open_page(path: Path, width: int = 1280, dark: bool = False):
        pages.append(Opened(browser, width, dark))
        return pages[-1].open(path)

    yield open_page
    for page in pages:
        page.context.close()
        assert page.complaints == []
