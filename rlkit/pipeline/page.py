"""The page of a plan: the table of its stages, then each with its numbers, its figure and its command."""

import base64
import shlex
from html import escape
from pathlib import Path
from string import Template

from rlkit.pipeline.display import number_text
from rlkit.pipeline.figures import figure_of
from rlkit.pipeline.pipeline import Look, Pipeline
from rlkit.record.disk import put_in_place
from rlkit.report import page as report_page
from rlkit.report.run_data import read_runs

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(pipeline: Pipeline, problem: str | None = None) -> Path:
    """Writes OUT/index.html, one file that needs no server; where it is."""
    looks = pipeline.look()
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(pipeline.plan.name),
        about=escape(pipeline.plan.about),
        problem=f'<p class="problem">{escape(problem)}</p>' if problem else "",
        rows="\n".join(_row(look) for look in looks),
        sections="\n".join(_section(look, pipeline.folder(look.stage)) for look in looks if look.record),
    )
    path = pipeline.plan.out / "index.html"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    put_in_place(temporary, path)
    return path


def _row(look: Look) -> str:
    record = look.record
    cells = [
        f'<a href="#{escape(look.stage.name)}">{escape(look.stage.name)}</a>'
        if record
        else escape(look.stage.name),
        look.stage.kind.name,
        look.state,
        f"{record.seconds:.0f}" if record else "",
        escape(number_text(record.numbers) if record else look.why),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _section(look: Look, folder: Path) -> str:
    assert look.record is not None
    figure = figure_of(look.stage.kind.name, folder)
    picture = ""
    if figure is not None:
        source = f"data:image/svg+xml;base64,{base64.b64encode(figure).decode()}"
        picture = f'<img alt="the figure of {escape(look.stage.name)}" src="{source}">'
    report = _report(look, folder)
    takes = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(', '.join(map(str, sources)))}</td></tr>"
        for name, sources in look.stage.takes.items()
    )
    numbers = "".join(
        f"<tr><td>{escape(name)}</td><td>{value:.4g}</td></tr>" for name, value in look.record.numbers.items()
    )
    return (
        f'<h2 id="{escape(look.stage.name)}">{escape(look.stage.name)} ({look.stage.kind.name})</h2>'
        f"{f'<table>{numbers}</table>' if numbers else ''}{picture}{report}"
        f"<table>{takes}</table><pre>{escape(shlex.join(look.record.command))}</pre>"
    )


def _report(look: Look, folder: Path) -> str:
    """A link to the page of `rlkit report` of a stage that makes a run; it is written where it is missing."""
    made = look.stage.makes.get("run")
    if made is None or made.artefact != "run":
        return ""
    path = folder / "report.html"
    if not path.exists():
        report_page.write_page(read_runs([folder / made.path]), path)
    return f'<p><a href="{escape(look.stage.name)}/report.html">what the run did with its prompts</a></p>'
