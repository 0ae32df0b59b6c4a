"""Guards the live page in a real browser over a real run: it shows steps, steers, and runs no completion."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from live_run import ATTACK

from rlkit.live.send import send_words

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """A run in a process of its own, with its output in `log`."""
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("live_run.py"), tmp_path / "run"],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    yield tmp_path / "run", log, process
    process.kill()
    process.wait()


def wait_for(found, what, seconds=120):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.05)
    return value


def rows(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_run_is_seen_and_steered(run, browser):
    folder, log, process = run
    address = wait_for(lambda: re.search(r"http://127\S+", log.read_text()), "address").group()
    page = browser.new_page(viewport={"width": 390, "height": 844})
    complaints = []
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.accept()))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    wait_for(lambda: rows(folder), "step")
    page.goto(address)
    assert "token" not in page.url
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Log in").click()
    shown = page.locator("#live-line")

    def step_shown():
        found = re.search(r"step ([\d,]+)", shown.inner_text())
        return int(found.group(1).replace(",", "")) if found else 0

    wait_for(step_shown, "step on the page")
    last = rows(folder)[-1]["step"] + 1
    wait_for(lambda: len(rows(folder)) >= last, "next step")
    since = time.monotonic()
    wait_for(lambda: step_shown() >= last, "next step on the page")
    assert time.monotonic() - since < 5  # 2 where the machine is not shared
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_role("button", name="Pause").click()
    wait_for(lambda: "paused" in shown.inner_text(), "pause")
    num = len(rows(folder))
    page.get_by_text("Settings, prompts, notes").click()
    page.get_by_label("Setting", exact=True).select_option("learning_rate")
    page.get_by_label("New value").fill("5e-4")
    page.get_by_role("button", name="Set", exact=True).click()
    wait_for(lambda: "It is 0.0005; the run began with 0.001" in page.inner_text("#live-was"), "new rate")
    page.get_by_label("Setting", exact=True).select_option("temperature")
    page.get_by_label("New value").fill("0")
    page.get_by_role("button", name="Set", exact=True).click()
    refusal = "temperature (0) must lie in 0.01 to 100"
    wait_for(lambda: refusal in page.inner_text("#live-said"), "refusal")
    assert len(rows(folder)) == num
    page.get_by_role("button", name="Go on").click()
    wait_for(lambda: len(rows(folder)) > num + 1, "steps after the pause")
    assert [row["learning_rate"] for row in rows(folder)[num - 1 : num + 1]] == [1e-3, 5e-4]
    wait_for(
        lambda: page.evaluate(
            "rlkitPage.data.runs[0].marks.some((one) => one.name === 'learning_rate' && one.new === 0.0005)"
        ),
        "mark on the curves",
    )

    page.get_by_role("button", name="Checkpoint now").click()
    said = page.locator("#completions")
    wait_for(lambda: ATTACK in said.inner_text(), "completion on the page")
    assert page.locator("main img").count() == 0 and complaints == []

    children = psutil.Process(process.pid).children()
    next(child for child in children if "rlkit.cli" in child.cmdline()).kill()
    num = len(rows(folder))
    wait_for(lambda: len(rows(folder)) > num + 2, "steps without the server")
    assert "the server of the live page has ended (exit code -9); the run goes on" in log.read_text()
    wait_for(lambda: "does not answer; the run goes on without it" in shown.inner_text(), "word of it")
    assert send_words(folder, "stop", "Ada", 60)["state"] == "done"
    assert process.wait(60) == 0
