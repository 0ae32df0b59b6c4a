"""Guards what a plan may hold: order, loops, and one clear line for each mistake before anything runs."""

import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rlkit.pipeline.build import read_plan
from rlkit.pipeline.pipeline import Pipeline
from rlkit.pipeline.plan import Carried, Loop, Output
from rlkit.pipeline.settings import check_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"prompt": "a"}\n')


def stage(name: str, takes: str, output: str = "rows.jsonl") -> str:
    settings = f"{{command: 'cp {{a}} {{b}}', outputs: {{b: {output}}}}}"
    return f"  {name}: {{kind: run, takes: {{a: {takes}}}, settings: {settings}}}\n"


LOOP = """  l:
    kind: loop
    takes: {model: a/b, all: []}
    carry: {model: MODEL, all: [l.all, s.rows], none: []}
    times: 3
    STOP
    stages: {s: {kind: score, takes: {model: a/b, data: rows.jsonl}, settings: {samples: 1}}}
"""


def loop(takes: str, model: str = "l.model", stop: str = "") -> str:
    """A loop, and a stage behind it that takes what it carries."""
    return LOOP.replace("MODEL", model).replace("STOP", stop) + f"  x: {{kind: sft, takes: {takes}}}"


MISTAKES = {
    stage("x", "y.b") + stage("y", "x.b"): "the stages wait for each other: .*x -> y|y -> x",
    stage("x", "x.b"): "wait for each other: x -> x",
    stage("x", "y.b"): "stage x takes a: 'y.b' is neither a file nor a stage's output",
    stage("x", "rows.jsonl") + stage("y", "x.rows"): "stage x makes no 'rows'; there are b",
    stage("x", "rows.jsonl") + stage("x", "rows.jsonl"): "line 3: 'x' is there twice",
    stage("x", "rows.jsonl", "../y/rows.jsonl") + stage("y", "rows.jsonl"): "y.b and x.b write one file",
    stage("x", "rows.jsonl", "../y/z/a") + stage("y", "rows.jsonl", "z"): "y.b and x.b write one file",
    "  x: {kind: rlhf}": "stage x: there is no kind 'rlhf'; did you mean 'rl'",
    "  x: {takes: {}}": "stage x has no kind",
    "  x: {kind: sft, take: {}}": "stage x has no key 'take'; did you mean 'takes'",
    "  x: {kind: sft, takes: {model: a/b}}": r"stage x \(sft\) must take data \(rows\); it takes",
    "  x: {kind: sft, takes: {model: a/b, rows: rows.jsonl}}": "stage x takes rows, which sft does not",
    "  x: {kind: eval, takes: {model: a/b}, settings: {out: y}}": "remove it",
    "  x: {kind: sft, takes: {model: a/b, data: c/d}}": "stage x takes data: 'c/d' is no file",
    "  x: {kind: sft, takes: {model: a/b, data: rows.jsonl}}\n"
    "  y: {kind: sft, takes: {model: a/b, data: x.model}}": (
        "stage y takes data: x.model is a model, not a rows"
    ),
    "  x: {kind: run}": r"stage x \(run\) needs the setting command",
    "  x: {kind: run, settings: {command: 'awk {print}', outputs: {o: o}}}": "command .*'print'",
    "  x: {kind: run, settings: {command: ' ', outputs: {o: o}}}": "command is blank",
    "  x: {kind: run, settings: {command: a, outputs: o}}": "outputs .'o'. must map names",
    "  x: {kind: sft, takes: {model: a/b, data: '${row}'}}": "no value 'row'; there are none",
    "  x/y: {kind: sft}": "a name is letters, digits",
    "  x: {kind: loop, times: 0, takes: {}, carry: {}, stages: {}}": r"loop x: times \(0\)",
    loop("{model: l.model, data: l.all}"): r"x takes data \(l.all\): sft takes one, not 3; put a `select`",
    loop("{model: l.model, data: l.none}"): r"x takes data \(l.none\): nothing is carried there",
    loop(
        "{model: l.model, data: rows.jsonl}", "s.right"
    ): "x takes model: l/3/s.right is a rows, not a model",
    loop("{model: l.model, data: rows.jsonl}", "s.right", "stop: {number: s.rows}"): "l/2/s.right is a rows",
    loop("{model: a/b, data: l.model}"): "stage x takes data: 'a/b' is no file",
    "  x: {kind: sft, settings: {learning_rate: .nan}}": r"stages.x.settings.learning_rate \(nan\) is not a",
    "  x: {kind: sft, settings: {names: !!set {a, b}}}": "settings.names .* must be a text, a number",
    "  x: {kind: sft, settings: {on: 1}}": "line 2: the key True is no text; put it into quotes",
    "  x: {kind: sft, settings: {[a]: 1}}": "the key .* is no text",
    "  x: {kind: [sft]}": r"stage x: kind \(\['sft'\]\) must be a name",
    "  x: {kind: loop, takes: {}}": "loop x: times",
    stage("x", "rows.jsonl", "log.txt"): "x.b and the pipeline write one file",
    stage("x", "rows.jsonl", "null"): r"outputs.b \(None\) must be a file or folder",
    stage("x", "rows.jsonl", "../y/rows") + "  y: {kind: sft, takes: {model: a/b, data: rows.jsonl}}": (
        "x.b .* lies in the folder of stage y"
    ),
}


@pytest.mark.parametrize(("stages", "message"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line(stages, message):
    Path("plan.yaml").write_text(f"stages:\n{stages}")
    with pytest.raises(ValueError, match=message) as error:
        read_plan(Path("plan.yaml"))
    assert "\n" not in str(error.value)


def test_changes_reach_values_settings_and_inputs():
    Path("plan.yaml").write_text(
        "values: {steps: 1, rows: null}\nstages:\n"
        "  x: {kind: sft, takes: {model: a/b, data: '${rows}'}, settings: {max_steps: '${steps}', "
        "run: 'n${steps}'}}"
    )
    with pytest.raises(ValueError, match="needs the value 'rows'; give it by --set rows="):
        read_plan(Path("plan.yaml"))
    changes = ["steps=2", "rows=rows.jsonl", "x.learning_rate=1e-3", "x.model=c/d"]
    (x,) = read_plan(Path("plan.yaml"), changes).stages
    assert x.settings == {"max_steps": 2, "run": "n2", "learning_rate": "1e-3"}
    assert x.takes == {"model": ("c/d",), "data": ("rows.jsonl",)}
    for change, message in {
        "step=3": "did you mean 'steps'",
        "y.z=1": "no stage 'y'",
        "z": "NAME=VALUE",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_plan(Path("plan.yaml"), [*changes, change])


GROW = """
stages:
  grow:
    kind: loop
    takes: {text: rows.jsonl, all: []}
    carry: {text: more.out, all: [grow.all, more.out]}
    times: 4
    STOP
    stages:
      more: {kind: run, takes: {text: grow.text}, settings: {command: "ADD {text} {out}", outputs: {out: t}}}
  count: {kind: run, takes: {text: grow.text}, settings: {command: "cp {text} {copy}", outputs: {copy: c}}}
  join: {kind: run, takes: {all: grow.all}, settings: {command: "SUM {all} {sum}", outputs: {sum: s}}}
"""


def test_a_loop_is_its_rounds_each_after_the_one_before():
    Path("plan.yaml").write_text(GROW.replace("STOP", ""))
    plan = read_plan(Path("plan.yaml"))
    names = [f"grow/{number}/more" for number in (1, 2, 3, 4)]
    assert [stage.name for stage in plan.stages] == [*names, "count", "join"]
    assert plan.stages[0].takes["text"] == ("rows.jsonl",)
    assert plan.stages[2].takes["text"] == (Output("grow/2/more", "out"),)
    assert plan.stages[4].takes["text"] == (Carried("grow", "text"),)
    assert plan.loops["grow"].carry_R[2]["all"] == tuple(Output(name, "out") for name in names[:3])


def test_the_rule_that_ends_a_loop():
    loop = Loop("l", 4, ({},) * 4, gain=0.01)
    assert loop.last([0.5]) is None  # nothing to compare the first with
    assert loop.last([0.5, 0.52]) is None
    assert loop.last([0.5, 0.52, 0.525]) == 3  # less than 0.01 above the best
    assert loop.last([0.5, 0.4, 0.9]) == 2
    assert loop.last([0.1, 0.2, 0.3, 0.4]) == 4


def test_a_loop_runs_and_what_follows_takes_its_last_round():
    Path("add.py").write_text(
        "import sys\nsource, target = sys.argv[1:]\nopen(target, 'w').write(open(source).read() + 'x')\n"
    )
    Path("join.py").write_text(
        "import sys\n*sources, target = sys.argv[1:]\n"
        "open(target, 'w').write(''.join(open(source).read() for source in sources))\n"
    )
    text = GROW.replace("ADD {text} {out}", f"{sys.executable} add.py {{text}} {{out}}")
    text = text.replace("STOP", "").replace("SUM", f"{sys.executable} join.py")
    Path("plan.yaml").write_text(text.replace("times: 4", "times: 2"))
    Pipeline(read_plan(Path("plan.yaml"))).run()
    assert Path("runs/plan/count/c").read_text() == '{"prompt": "a"}\nxx'
    assert Path("runs/plan/join/s").read_text() == '{"prompt": "a"}\nx' + '{"prompt": "a"}\nxx'


def test_a_setting_that_the_command_does_not_have():
    takes = "takes: {model: a/b, data: rows.jsonl}"
    for settings, message in {
        "{kind: score, TAKES, settings: {sample: 2}}": r"x \(score\) has no setting 'sample'; did you mean",
        "{kind: sft, TAKES, settings: {max_step: 2}}": r"x \(sft\) has no setting 'max_step'; did you",
        "{kind: rl, TAKES, settings: {recipe: no.py}}": r"recipe \(no.py\): there is no such file",
    }.items():
        Path("plan.yaml").write_text(f"stages:\n  x: {settings.replace('TAKES', takes)}")
        with pytest.raises(ValueError, match=message):
            check_settings(read_plan(Path("plan.yaml")), {"score": {"samples"}})


@pytest.mark.parametrize("change", ["x.a=[", "x.a={a: 1, a: 2}", "x.a={1: 2}"])
def test_a_change_that_is_no_yaml_is_one_line(change):
    Path("plan.yaml").write_text(f"stages:\n{stage('x', 'rows.jsonl')}")
    with pytest.raises(ValueError, match="what is behind = is not YAML; put it into quotes"):
        read_plan(Path("plan.yaml"), [change])


def test_dates_are_texts():
    Path("plan.yaml").write_text(
        "stages:\n  x: {kind: sft, takes: {model: a/b, data: rows.jsonl}, settings: {run_name: 2026-11-26}}"
    )
    (x,) = read_plan(Path("plan.yaml"), ["x.seed=2026-01-01"]).stages
    assert x.settings == {"run_name": "2026-11-26", "seed": "2026-01-01"}


PIECES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.floats()
    | st.sampled_from(
        ["rows.jsonl", "a/b", "x.b", "x.model", "l.all", "sft", "run", "loop", "${v}", "", "x" * 300]
    )
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "kind",
                    "takes",
                    "settings",
                    "model",
                    "data",
                    "rows",
                    "command",
                    "outputs",
                    "x",
                    "b",
                    "carry",
                    "times",
                    "stop",
                    "number",
                    "gain",
                    "stages",
                    "all",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(kind=st.sampled_from(["sft", "run", "loop", "select", "eval"]), body=PIECES, rest=PIECES)
@limits(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_plan_holds_it_is_read_or_refused(kind, body, rest):
    x = {**body, "kind": kind} if isinstance(body, dict) else body
    good = {"kind": "sft", "takes": {"model": "a/b", "data": "rows.jsonl"}, "settings": rest}
    Path("plan.yaml").write_text(yaml.safe_dump({"values": {"v": 1}, "stages": {"x": x, "y": good}}))
    try:
        Pipeline(read_plan(Path("plan.yaml"))).look()
    except ValueError as error:
        assert "\n" not in str(error)
