"""Guards the page in a real browser: its numbers, axes, search, and that nothing in it runs or calls out."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rlkit.record.completions import CompletionLog
from rlkit.report.page import make_page, to_json, write_page
from rlkit.report.run_data import read_run, read_runs

ATTACK = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\u2028'\"\x00"


def write_hostile(folder) -> None:
    """A run in which everything that is text wants to be HTML."""
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, f"<b>{ATTACK}": step, "signal/all": 0.5}) + "\n" for step in (1, 2))
    )
    (folder / "config.yaml").write_text(json.dumps({"curriculum": {"curriculum": ATTACK}}))
    event = {"step": 1, "command": ATTACK, "name": ATTACK, "old": ATTACK, "new": [ATTACK], "who": ATTACK}
    (folder / "events.jsonl").write_text(json.dumps({**event, "state": "done"}) + "\n")
    row = {name: ATTACK.replace("\x00", "") for name in ("prompt", "gold", "completion")}
    row |= {"generation": 0, "step": 1, "index": 0, "key": 1, "tokens": 3, "signal": 1.0, "reward": 1.0}
    log = CompletionLog(folder, 1e6)
    log.write([{**row, "rewards": [(ATTACK, 1.0)]}], 1.0)
    log.flush()


@pytest.fixture(scope="module")
def run(tmp_path_factory, write_run):
    return write_run(tmp_path_factory.mktemp("runs") / "rlkit-run", num_steps=100)


@pytest.fixture(scope="module")
def page_file(run):
    path = run / "report" / "index.html"
    write_page([read_run(run)], path)
    return path


def values(page, chart, name):
    return page.evaluate("([chart, name]) => rlkitPage.charts.get(chart).values(name)", [chart, name])


def test_numbers_are_those_of_the_run(opened, page_file, run):
    page = opened(page_file)
    heldout = [json.loads(line) for line in (run / "heldout.jsonl").read_text().splitlines()]
    shown = values(page, "heldout-accuracy", "rlkit-run")
    assert shown["x"] == [row["step"] for row in heldout]
    assert shown["y"] == pytest.approx([row["accuracy"] for row in heldout], rel=1e-4)
    page.locator("#chart-heldout-accuracy summary").click()
    cells = page.locator("#chart-heldout-accuracy td").all_inner_texts()
    assert cells[0] == "1" and float(cells[1]) == pytest.approx(heldout[0]["accuracy"], abs=5e-4)


@pytest.mark.parametrize(
    ("axis", "column"),
    [
        ("rollouts", "rollouts/spent_total"),
        ("tokens", "tokens/generated_total"),
        ("seconds", "seconds/total"),
    ],
)
def test_the_axis_can_be_switched(opened, page_file, run, axis, column):
    page = opened(page_file)
    page.click(f"#axis button[data-value={axis}]")
    page.uncheck("text=smooth")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    shown = values(page, "signal", "rlkit-run")
    assert shown["x"] == pytest.approx([row[column] for row in rows], rel=1e-4)
    assert shown["y"] == pytest.approx([row["signal/all"] for row in rows], rel=1e-4)


def test_completions_can_be_searched(opened, page_file, run):
    row = read_run(run)["completions"]["rows"][7]
    page = opened(page_file)
    page.fill("#search", row["completion"])
    assert page.locator(".count").inner_text().startswith("1 completions of 1 prompts")
    assert page.locator("#completions .completion").all_inner_texts() == [row["completion"]]
    page.fill("#search", "nothing says this")
    assert page.locator("#completions .completion").count() == 0


def test_tables_are_sorted_by_their_headings(opened, page_file):
    page = opened(page_file)
    table = page.locator("#prompts table", has_text="first fifth")
    heading = table.locator("th", has_text="groups")
    for order in ("descending", "ascending"):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        names = [text.split()[0] for text in table.locator("th:visible").all_inner_texts()]
        cells = table.locator(f"tbody td:nth-child({names.index('groups') + 1})")
        groups = [int(text) for text in cells.all_inner_texts()]
        assert groups == sorted(groups, reverse=order == "descending") and len(set(groups)) > 1


def test_hostile_text_is_text(opened, tmp_path):
    """No dialog, no element, no request: `opened` looks that the page does none of it."""
    write_hostile(tmp_path)
    path = tmp_path / "report.html"
    write_page([read_run(tmp_path)], path)
    page = opened(path, dark=True)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == path.read_text().count("<script"), "no script was added"
    assert "<img src=x onerror=alert(1)>" in page.locator("#completions .completion").inner_text()
    assert "<img src=x onerror=alert(1)>" in page.locator("#learning .events").inner_text()
    page.wait_for_timeout(100)


def test_the_policy_forbids_what_was_not_put_in(browser, page_file):
    """A script, a handler or a request that got into the page all the same is blocked."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.got = 1";
            document.body.append(script);
            document.body.setAttribute("onclick", "window.got = 2");
            document.body.click();
        }"""
    )
    assert page.evaluate("typeof window.got") == "undefined"
    assert page.evaluate("fetch('https://example.org/').then(() => 'answered', () => 'blocked')") == "blocked"
    context.close()


def test_what_a_reader_chose_outlives_an_update(opened, page_file, run):
    page = opened(page_file)
    page.click("#axis button[data-value=rollouts]")
    page.fill("#search", "What is 1")
    page.click("#chart-signal summary")
    data = {"runs": [read_run(run)]}
    data["runs"][0]["sentences"]["learning"] = "It does."
    page.evaluate("(data) => rlkitPage.update(data)", data)
    assert page.locator("#learning .answer").inner_text() == "It does."
    assert page.locator("#axis button[aria-pressed=true]").inner_text() == "rollouts"
    assert page.input_value("#search") == "What is 1"
    assert page.locator("#chart-signal details[open] td").count() > 100
    assert page.locator("#chart-signal .plot canvas").count() == 1


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_phone_and_a_desk(opened, page_file, width):
    page = opened(page_file, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    plots = page.locator(".plot:visible canvas")
    assert plots.count() >= 8
    assert all(box["width"] <= width for box in (plots.nth(i).bounding_box() for i in range(plots.count())))


def test_runs_side_by_side_are_told_apart_without_color(opened, tmp_path, write_run):
    """Eight runs: every one has a line, a dash or a marker of its own."""
    folders = [write_run(tmp_path / f"seed-{seed}", "pcl", num_steps=5, seed=seed) for seed in range(8)]
    path = tmp_path / "eight.html"
    write_page(read_runs(folders), path)
    page = opened(path)
    looks = page.evaluate(
        "rlkitPage.charts.get('heldout-accuracy').series.map((one) => `${one.dash} ${one.marker}`)"
    )
    assert len(set(looks)) == len(looks) == 8
    assert page.locator("#learning .answer").count() == 8
    page.locator("#prompts .picker button", has_text="seed-5").click()
    assert page.locator("#chart-map .note").inner_text().startswith("seed-5")


def test_a_theme_can_be_chosen(opened, page_file):
    page = opened(page_file, dark=True)
    paper = "getComputedStyle(document.querySelector('.chart')).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    page.click("#theme")
    assert page.evaluate(paper) == dark


class Scripts(HTMLParser):
    """The attributes of a page's elements that could fetch or run something."""

    def __init__(self):
        super().__init__()
        self.risky: list[tuple] = []

    def handle_starttag(self, tag, attrs):
        self.risky += [
            (tag, *pair) for pair in attrs if pair[0] in ("src", "style") or pair[0].startswith("on")
        ]


def test_the_file_refers_to_nothing(page_file):
    parser = Scripts()
    text = page_file.read_text()
    parser.feed(text)
    assert parser.risky == []
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "connect-src 'none'" in policy
    assert "unsafe" not in policy


def test_json_cannot_end_its_script():
    text = to_json({"a": "</script><!--\u2028\ud800"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"a": "</script><!--\u2028?"}
    with pytest.raises(ValueError):
        to_json({"a": np.nan})


def test_more_parts_are_put_in(tmp_path):
    (tmp_path / "panel.js").write_text("window.panel = 1;")
    (tmp_path / "panel.css").write_text("#live-panel { color: red }")
    text = make_page([], [tmp_path / "panel.js", tmp_path / "panel.css"], "'self'")
    assert text.index("<script>window.panel = 1;</script>") < text.index("Draws the page: its head")
    assert "<style>#live-panel { color: red }</style>" in text and "connect-src 'self'" in text
