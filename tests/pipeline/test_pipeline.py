"""Guards the runner: what is done, what runs and why, after changes, failures and kills; real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rlkit.cli import app
from rlkit.pipeline.build import read_plan
from rlkit.pipeline.named import unwatched_folders
from rlkit.pipeline.page import write_page
from rlkit.pipeline.pipeline import Look, Pipeline, StageError

PLAN = """
values: {{text: b}}
stages:
  last:
    kind: run
    takes: {{rows: first.more}}
    settings: {{command: "{add} {{rows}} {{more}} c", outputs: {{more: more.txt}}}}
  first:
    kind: run
    takes: {{rows: rows.txt}}
    settings: {{command: "{add} {{rows}} {{more}} ${{text}}", outputs: {{more: more.txt}}}}
  other:
    kind: run
    takes: {{rows: rows.txt}}
    settings: {{command: "{add} {{rows}} {{more}} d", outputs: {{more: more.txt}}}}
"""
ADD = """
import sys
source, target, text = sys.argv[1:]
if text == "fail":
    print("there is no more room", file=sys.stderr); sys.exit(3)
open(target, "w").write(open(source).read() + text if text != "nothing" else "")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a plan, its only file, and the command it runs."""
    monkeypatch.chdir(tmp_path)
    Path("rows.txt").write_text("a")
    Path("add.py").write_text(ADD)
    Path("plan.yaml").write_text(PLAN.format(add=f"{sys.executable} add.py"))
    return tmp_path


def ran(*changes: str) -> list[str]:
    """The stages that a run of the plan found due."""
    found: list[str] = []

    def told(look: Look, seconds: float) -> None:
        if look.state == "due" and look.stage.name not in found:
            found.append(look.stage.name)

    Pipeline(read_plan(Path("plan.yaml"), changes)).run(told)
    return found


def why(*changes: str) -> dict[str, str]:
    looks = Pipeline(read_plan(Path("plan.yaml"), changes)).look()
    return {look.stage.name: look.why for look in looks if look.state != "done"}


def test_stages_run_once_each_after_what_it_takes(folder):
    assert why() == {"first": "not run yet", "last": "takes first.more, made anew", "other": "not run yet"}
    assert ran() == ["first", "last", "other"]
    assert Path("runs/plan/last/more.txt").read_text() == "abc"
    assert ran() == [] and why() == {}


def test_a_changed_setting_runs_its_stage_and_what_hangs_on_it(folder):
    ran()
    reasons = why("text=x")
    assert list(reasons) == ["first", "last"] and " was " in reasons["first"] and " x" in reasons["first"]
    assert ran("text=x") == ["first", "last"]
    assert Path("runs/plan/last/more.txt").read_text() == "axc"


def test_a_stage_that_makes_the_same_again_is_the_end_of_it(folder):
    ran()
    Path("add.py").write_text(ADD + "\n# a comment")
    assert why() == {
        "first": "add.py has changed",
        "last": "takes first.more, made anew",
        "other": "add.py has changed",
    }
    Path("add.py").write_text(ADD)
    assert why() == {}


def test_an_input_changed_by_hand_is_noticed(folder):
    ran()
    Path("rows.txt").write_text("z")
    assert why()["other"] == "rows has changed"
    assert ran() == ["first", "last", "other"]


def test_an_output_changed_by_hand_is_made_again_and_the_change_kept(folder):
    ran()
    Path("runs/plan/first/more.txt").write_text("by hand")
    assert why()["first"] == "more was changed since"
    assert ran() == ["first"]  # it comes out as before, so what hangs on it is still done
    assert Path("runs/plan/first/more.txt").read_text() == "ab"
    assert Path("runs/plan/first.changed-1/more.txt").read_text() == "by hand"
    Path("runs/plan/first/more.txt").unlink()
    assert why()["first"] == "more is gone"


def test_the_first_failure_ends_the_run_and_what_was_done_stays(folder):
    with pytest.raises(StageError, match=r"first failed \(exit code 3\): there is no more room"):
        ran("text=fail")
    assert ran() == ["first", "last", "other"]
    with pytest.raises(StageError, match="last failed"):
        Path("plan.yaml").write_text(Path("plan.yaml").read_text().replace("{more} c", "{more} fail"))
        ran("text=x")
    assert list(why("text=x")) == ["last"]


def test_a_stage_that_leaves_nothing_has_failed(folder):
    with pytest.raises(StageError, match=r"first ended well and left no more \(more.txt\)"):
        ran("text=nothing")
    assert "first" in why("text=nothing")


def test_after_a_kill_the_stage_runs_again_and_its_orphans_are_ended(folder):
    Path("slow.py").write_text(
        "import os, sys, time\n"
        "open('pids', 'a').write(f'{os.getpid()}\\n')\n"
        "open(sys.argv[1], 'w').write('half')\n"
        "time.sleep(0 if os.path.exists('quick') else 600)\n"
        "open(sys.argv[1], 'w').write('whole')\n"
    )
    Path("plan.yaml").write_text(
        "stages:\n  slow:\n    kind: run\n    settings:\n"
        f"      command: {sys.executable} slow.py {{out}}\n      outputs: {{out: out.txt}}\n"
    )
    code = (
        "from pathlib import Path; from rlkit.pipeline.build import read_plan;"
        "from rlkit.pipeline.pipeline import Pipeline; Pipeline(read_plan(Path('plan.yaml'))).run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not Path("runs/plan/slow.partial/out.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ValueError, match="another `rlkit pipeline` runs there"):
        Pipeline(read_plan(Path("plan.yaml"))).run()
    process.send_signal(signal.SIGKILL)
    process.wait()
    (orphan,) = map(int, Path("pids").read_text().split())
    os.kill(orphan, 0)  # it goes on
    assert why() == {"slow": "was stopped; starts anew"}
    Path("quick").touch()
    assert ran() == ["slow"]
    assert Path("runs/plan/slow/out.txt").read_text() == "whole"
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)


def test_a_kill_between_the_record_and_the_rename_costs_nothing(folder):
    ran()
    Path("runs/plan/first").rename("runs/plan/first.partial")
    assert why() == {} and Path("runs/plan/first.partial").exists()  # looking changes nothing
    assert ran() == [] and Path("runs/plan/first/more.txt").exists()


def test_a_dry_run_changes_nothing_at_all(folder):
    """Whatever state stages are in: not run, done, stopped, whole but not renamed, changed by hand."""

    def tree() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [folder, *folder.rglob("*")]
        }

    def unchanged() -> None:
        before = tree()
        result = CliRunner().invoke(app, ["pipeline", "plan.yaml", "--dry-run"])
        assert result.exit_code == 0, result.exception
        assert tree() == before

    unchanged()
    ran()
    unchanged()
    Path("runs/plan/first").rename("runs/plan/first.partial")
    Path("runs/plan/last").rename("runs/plan/last.partial")
    Path("runs/plan/last.partial/record.json").unlink()
    Path("runs/plan/other/more.txt").write_text("by hand")
    unchanged()
    assert why() == {"last": "was stopped; starts anew", "other": "more was changed since"}


def test_what_settings_name(folder):
    """A file counts, also in a command; a folder is said; what the stage itself writes does not count."""
    for name in ("tools", "made"):
        Path(name).mkdir()
    settings = {
        "command": f"{sys.executable} add.py {{rows}} {{more}} ./tools",
        "outputs": {"more": str(folder / "made" / "more.txt")},
    }
    stage = {"kind": "run", "takes": {"rows": "rows.txt"}, "settings": settings}
    Path("plan.yaml").write_text(yaml.safe_dump({"stages": {"x": stage}}))
    (note,) = unwatched_folders(read_plan(Path("plan.yaml")))
    assert note.startswith("./tools (settings of x): changes in a folder are not noticed")
    assert ran() == ["x"] and why() == {}
    Path("rows.txt").write_text("z")
    assert ran() == ["x"] and why() == {}
    Path("add.py").write_text(f"{ADD}# a comment")
    assert why() == {"x": "add.py has changed"}


def test_the_page_has_every_stage_and_runs_nothing_of_what_it_shows(folder):
    ran()
    Path("plan.yaml").write_text("about: <script>alert(1)</script>\n" + Path("plan.yaml").read_text())
    pipeline = Pipeline(read_plan(Path("plan.yaml")))
    text = write_page(pipeline, "stage <b> failed").read_text()
    assert "<script" not in text and "stage &lt;b&gt; failed" in text
    assert all(f'<h2 id="{name}">' in text for name in ("first", "last", "other"))
