"""The page of one or several runs: the files of `page/` and the runs' data in one HTML file.

It needs no server and no network, and its Content-Security-Policy forbids both: only the scripts and styles
put in here run, each by its SHA-256, so that a completion that holds a script is text like any other.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from rlkit.record.disk import put_in_place

FOLDER = Path(__file__).parent / "page"
STYLES = ("uplot/uPlot.min.css", "page.css")
SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    "dom.js",
    "looks.js",
    "numbers.js",
    "curves.js",
    "chart.js",
    "table.js",
    "glance.js",
    "sections/learning.js",
    "sections/training.js",
    "sections/knowledge.js",
    "sections/prompts.js",
    "sections/completions.js",
    "sections/problems.js",
    "sections/cost.js",
    "sections/anything.js",
    "page.js",
)
"""In the order in which they run; `page.js` draws the page from what the others define."""


def make_page(runs: Sequence[dict[str, Any]], more: Sequence[Path] = (), connect: str = "'none'") -> str:
    """The HTML.

    Args:
        runs: from `run_data.read_run`.
        more: further scripts (.js), which run before the page is drawn, and styles (.css).
        connect: where the page's scripts may connect to, as in a Content-Security-Policy: "'self'".
    """
    styles = _texts([FOLDER / name for name in STYLES] + [path for path in more if path.suffix == ".css"])
    *before, last = [FOLDER / name for name in SCRIPTS]
    scripts = _texts([*before, *(path for path in more if path.suffix == ".js"), last])
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_sources(scripts)}",
            f"style-src {_sources(styles)}",
            "img-src data:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        styles="\n".join(f"<style>{text}</style>" for text in styles),
        scripts="\n".join(f"<script>{text}</script>" for text in scripts),
        data=to_json({"runs": list(runs)}),
    )


def write_page(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the page under a temporary name and renames it, so that a reader never sees half of it.

    Args:
        runs: from `run_data.read_run`.
        path: the HTML file; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(make_page(runs), encoding="utf-8")
    put_in_place(temporary, path)


def to_json(data: Any) -> str:
    """JSON that may stand inside of a script element: to_json("</script>") -> '"\\u003c/script>"'"""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # A lone surrogate, which a broken completion may hold, has no UTF-8.
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _texts(paths: Sequence[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in paths]


def _sources(texts: Sequence[str]) -> str:
    sums = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{value}'" for value in sums)
