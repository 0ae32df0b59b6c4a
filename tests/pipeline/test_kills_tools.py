"""Guards kill -9 inside of the tools' stages: at each file that they make, name or open, and at a teacher's
replies. Started again, the plan makes what it makes when never killed; nothing half is taken for done."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import yaml

from rlkit.pipeline.build import read_plan
from rlkit.pipeline.pipeline import Pipeline, StageError

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests" / "verify"), str(ROOT / "tests" / "harvest")]

from judge_server import grades, judge_server  # noqa: E402
from test_harvest import GROUP, make_run  # noqa: E402

EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")


@pytest.fixture(scope="module")
def inputs(tiny, tmp_path_factory) -> Path:
    """A folder with what the tools take: scored rows, a run, two models, two evaluations."""
    folder = tmp_path_factory.mktemp("inputs")
    rows = [f'{{"question": "{n}", "level": "{n % 3}", "pass_rate": {n % 3 / 2}}}' for n in range(9)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "run").mkdir()
    make_run(folder / "run", GROUP, (4, [("5", 1, 1.0), ("6", 1, 0.0)]))
    for name in ("a", "b"):
        shutil.copytree(tiny / "model", folder / name)
        results = folder / f"results-{name}" / name / "sums"
        results.mkdir(parents=True)
        (results / "summary.json").write_text(f'{{"accuracy": 0.{len(name) + ord(name) % 7}}}')
        (results / "manifest.json").write_text("{}")
    return folder


def stages(folder: Path) -> dict[str, tuple[dict, dict]]:
    """Of each kind: what it takes, and its settings."""
    return {
        "diagnose": ({"rows": f"{folder}/rows.jsonl"}, {"by": "level", "threshold": 0.8}),
        "select": ({"rows": f"{folder}/rows.jsonl"}, {"pass_rate": "0,0.5"}),
        "harvest": ({"run": f"{folder}/run"}, {"kind": "preference"}),
        "merge": ({"models": [f"{folder}/a", f"{folder}/b"]}, {"a": 0.25}),
        "rank": ({"results": [f"{folder}/results-a", f"{folder}/results-b"]}, {"shuffles": 100}),
    }


def pipeline(kind: str, takes: dict, settings: dict, out: Path, start) -> Pipeline:
    plan = out.parent / "plan.yaml"
    plan.write_text(yaml.safe_dump({"stages": {"it": {"kind": kind, "takes": takes, "settings": settings}}}))
    return Pipeline(read_plan(plan, out=out), start)


def made(of: Pipeline) -> dict[str, str]:
    """The outputs' digests, looked at anew."""
    (look,) = Pipeline(of.plan).look()
    assert look.state == "done" and look.record is not None
    return dict(look.record.makes)


class Deadly:
    """Starts a command that kill -9 ends at its n-th event on a file of the stage's folder."""

    def __init__(self, forked, nth: int):
        self.forked, self.nth = forked, nth

    def __call__(self, command: list[str], log: Path, environment: dict[str, str]):
        folder, left, parent = str(log.parent.resolve()), [self.nth], os.getpid()

        def watch(event: str, arguments: tuple) -> None:
            if event in EVENTS and os.getpid() != parent and str(arguments[0]).startswith(folder):
                left[0] -= not str(arguments[0]).endswith("log.txt")
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return self.forked(command, log, environment, watch)


@pytest.mark.parametrize("kind", ["diagnose", "select", "harvest", "merge", "rank"])
def test_a_kill_at_any_file(kind, inputs, forked, tmp_path):
    takes, settings = stages(inputs)[kind]
    straight = pipeline(kind, takes, settings, tmp_path / "straight", forked)
    straight.run()
    nth = 1
    while True:
        killed = pipeline(kind, takes, settings, tmp_path / "killed", Deadly(forked, nth))
        try:
            killed.run()
        except StageError as error:
            assert "it failed (exit code -9)" in str(error)
        else:
            break
        assert not (tmp_path / "killed" / "it").exists()
        (look,) = killed.look()
        assert (look.state, look.why) == ("due", "was stopped; starts anew")
        nth += 1
    print(kind, nth - 1, "kills")
    assert nth > 2, "it was killed at two places at the least"
    assert made(killed) == made(straight)


def teach(number: int, request: dict) -> tuple:
    """A teacher whose replies hang on nothing but the request."""
    text = request["messages"][0]["content"]
    if "<question>" in text:
        name = sum(map(ord, text)) % 1000
        return grades(f"<question>{name} and 1?</question> <question>{name} and 2?</question>")
    return grades(*[rf"\boxed{{{len(text)}}}"] * request["n"])


def test_a_kill_between_a_teachers_replies(tiny, forked, tmp_path):
    """At the second and the sixth request: what was answered is not asked again."""
    pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
    takes = {"failed": f"{tiny}/heldout.jsonl", "examples": f"{tiny}/rows.jsonl"}
    begun, deadly = [], {2, 6}

    def answer(number: int, request: dict) -> tuple:
        if number in deadly:
            os.kill(begun[-1].pid, signal.SIGKILL)
        return teach(number, request)

    def start(*given):
        begun.append(forked(*given))
        return begun[-1]

    with judge_server(teach) as server:
        settings = {"url": server.url, "model": "teacher", "concurrent": 1}
        straight = pipeline("synthesize", takes, settings, tmp_path / "straight", start)
        straight.run()
    asked = server.requests
    with judge_server(answer) as server:
        settings["url"] = server.url
        for _ in deadly:
            killed = pipeline("synthesize", takes, settings, tmp_path / "killed", start)
            with pytest.raises(StageError, match=r"it failed \(exit code -9\)"):
                killed.run()
            assert not (tmp_path / "killed" / "it").exists()
            (look,) = killed.look()
            assert (look.state, look.why) == ("due", "was stopped; goes on")
        killed.run()
    assert len(server.requests) == len(asked) + len(deadly)  # those under way, again
    assert made(killed) == made(straight)


def test_another_budget_pays_for_no_reply_again(tiny, forked, tmp_path):
    """Three requests, of which nothing can be kept; then without a limit."""
    pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
    takes = {"failed": f"{tiny}/heldout.jsonl", "examples": f"{tiny}/rows.jsonl"}
    with judge_server(teach) as server:
        settings = {"url": server.url, "model": "teacher", "concurrent": 1, "max_requests": 3}
        short = pipeline("synthesize", takes, settings, tmp_path / "out", forked)
        with pytest.raises(StageError, match=r"nothing was kept .* the budget is spent"):
            short.run()
        assert len(server.requests) == 3
        del settings["max_requests"]
        whole = pipeline("synthesize", takes, settings, tmp_path / "out", forked)
        whole.run()
        asked = [str(request) for request in server.requests]
    assert len(asked) == len(set(asked)) > 3
    (look,) = whole.look()
    assert look.state == "done" and (tmp_path / "out" / "it.replies.sqlite3").exists()
