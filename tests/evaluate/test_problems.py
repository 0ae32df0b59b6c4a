"""Guards how a benchmark's rows become problems and prompts, and what is said of rows that cannot."""

import gzip
import json

import pytest

from rlkit.evaluate.benchmark import Benchmark, read_benchmark
from rlkit.evaluate.benchmarks import BENCHMARKS, MATH_INSTRUCTION, find_benchmark
from rlkit.evaluate.problems import load_problems, make_prompt

SUMS = Benchmark(name="sums", data="-", question="{a} plus {b}?", reward="-", instruction="Be brief.")


def write(path, rows):
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def load(benchmark, tmp_path, *rows):
    return load_problems(benchmark, write(tmp_path / "rows.jsonl", rows))


def test_columns_paths_and_alternatives(tmp_path):
    benchmark = Benchmark(
        name="b",
        data="-",
        reward="-",
        question=("{problem}", "{prompt.1.content}"),
        columns={"answer": ("gold", "info.gold"), "tests": "[test]"},
        id=("id", "info.number"),
    )
    first, second = load(
        benchmark,
        tmp_path,
        {"id": 7, "problem": "1+1", "gold": 2, "test": "t"},
        {"prompt": [{"content": "no"}, {"content": "2+2"}], "info": {"gold": 4, "number": "x"}, "test": "u"},
    )
    assert (first.id, first.question, first.columns) == ("7", "1+1", {"answer": 2, "tests": ["t"]})
    assert (second.id, second.question, second.columns) == ("x", "2+2", {"answer": 4, "tests": ["u"]})


def test_all_columns_pass_where_none_are_named_and_positions_are_ids(tmp_path):
    problems = load(SUMS, tmp_path, {"a": 1, "b": "2 ", "c": 3}, {"a": 2, "b": "3", "c": [4]})
    assert [problem.id for problem in problems] == ["0", "1"]
    assert problems[0].columns == {"a": 1, "b": "2 ", "c": 3} and problems[0].question == "1 plus 2?"
    assert load_problems(SUMS, tmp_path / "rows.jsonl", limit=1) == problems[:1]


def test_a_compressed_file_gives_the_same(tmp_path):
    plain = load(SUMS, tmp_path, {"a": 1, "b": 2})
    assert load_problems(SUMS, write(tmp_path / "rows.jsonl.gz", [{"a": 1, "b": 2}])) == plain


def test_prompts_for_chat_and_for_base_models(tmp_path):
    benchmark = Benchmark(
        **{
            **vars(SUMS),
            "template": "Q: {question}\nA:",
            "examples": (("1 plus 1?", r" \boxed{2}"), ("2 plus 2?", " 4")),
        }
    )
    (problem,) = load(benchmark, tmp_path, {"a": 3, "b": r"\frac{1}{2}"})
    chat = make_prompt(benchmark, problem, chat=True)
    assert chat == [{"role": "user", "content": "3 plus \\frac{1}{2}?\n\nBe brief."}]
    plain = make_prompt(benchmark, problem, chat=False)
    assert plain == "\n\n".join(
        ["Q: 1 plus 1?\nA: \\boxed{2}", "Q: 2 plus 2?\nA: 4", "Q: 3 plus \\frac{1}{2}?\nA:"]
    )


def test_an_instruction_that_the_copy_already_has_is_not_repeated(tmp_path):
    (problem,) = load(
        BENCHMARKS["aime25"],
        tmp_path,
        {
            "prompt": [{"role": "user", "content": f"What is it? {MATH_INSTRUCTION}"}],
            "reward_model": {"ground_truth": "70"},
        },
    )
    assert problem.question == "What is it?" and problem.columns == {"answer": "70"}
    chat = make_prompt(BENCHMARKS["aime25"], problem, chat=True)
    assert chat == [{"role": "user", "content": f"What is it?\n\n{MATH_INSTRUCTION}"}]


def test_prompts_of_a_training_set_stay_as_they_are(tmp_path):
    benchmark = Benchmark(name="b", data="-", reward="-", prompt="prompt")
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    problems = load(benchmark, tmp_path, {"prompt": "1+1="}, {"prompt": messages})
    for chat in (True, False):
        assert [make_prompt(benchmark, problem, chat) for problem in problems] == ["1+1=", messages]


def test_only_ids_of_the_split_are_taken(tmp_path):
    rows = [
        {"task_id": i, "text": "Do it.", "test_list": ["assert f(1)", "assert f(2)"]}
        for i in (10, 11, 510, 511)
    ]
    problems = load(BENCHMARKS["mbpp"], tmp_path, *rows)
    assert [problem.id for problem in problems] == ["11", "510"]
    tests = "Your code should pass these tests:\n\nassert f(1)\nassert f(2)"
    assert problems[0].question == f"Do it. {tests}"
    with pytest.raises(ValueError, match=r"rows.jsonl has no row with an id in \(11, 510\)"):
        load(BENCHMARKS["mbpp"], tmp_path, rows[0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"a": 1, "b": 2}, {"a": 1}],
            r"benchmark sums: row 1 of .* has no column 'b'; its columns are \['a'\]",
        ),
        ([{"a": 1, "b": 2, "id": 5}, {"a": 1, "b": 2, "id": 5}], "two rows of .* have the id '5'"),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        load(Benchmark(**{**vars(SUMS), "id": "id"}), tmp_path, *rows)


def test_missing_columns_of_rewards_and_prompts_are_named(tmp_path):
    graded = Benchmark(name="b", data="-", question="{q}", reward="-", columns={"answer": ("x", "y.z")})
    with pytest.raises(ValueError, match=r"has no column 'x' or 'y\.z'; its columns are \['q'\]"):
        load(graded, tmp_path, {"q": "?"})
    given = Benchmark(name="b", data="-", prompt="prompt", reward="-")
    with pytest.raises(ValueError, match="no column 'prompt'"):
        load(given, tmp_path, {"q": "?"})
    with pytest.raises(ValueError, match="'prompt' must hold text or messages, not 3"):
        load(given, tmp_path, {"prompt": 3})


def test_a_data_set_that_the_hub_does_not_give_names_the_remedy():
    with pytest.raises(ValueError, match=r"openai/gsm8k cannot be loaded .* --data gsm8k=FILE"):
        load_problems(BENCHMARKS["gsm8k"])


def test_unknown_benchmarks_list_the_known():
    with pytest.raises(
        ValueError, match=r"'gsm9k' is unknown; there are gsm8k, math500, aime24, .*mbpp_plus"
    ):
        find_benchmark("gsm9k")


def test_a_benchmark_of_ones_own_in_yaml(tmp_path):
    write(tmp_path / "rows.jsonl", [{"q": "1+1", "a": "2"}])
    (tmp_path / "mine.yaml").write_text(
        "data: rows.jsonl\nquestion: '{q}'\ncolumns: {answer: a}\nreward: grader.py:reward\n"
        "kind: math\nexamples: [['0+1', ' 1']]\nstop: [\"\\n\"]\nmax_new_tokens: 8\n"
    )
    benchmark = find_benchmark(str(tmp_path / "mine.yaml"))
    assert (benchmark.name, benchmark.max_new_tokens, benchmark.stop) == ("mine", 8, ("\n",))
    assert benchmark.reward == f"{tmp_path}/grader.py:reward" and benchmark.examples == (("0+1", " 1"),)
    assert load_problems(benchmark)[0].columns == {"answer": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question: [", "not YAML"),
        ("- a", "must hold fields"),
        ("question: '{q}'\nreward: r\nquestoin: 1", r"unknown fields \['questoin'\]; there are name, reward"),
        ("question: '{q}'\ndata: d", "reward is missing"),
        ("reward: m:f\ndata: d", "set either question"),
        ("reward: m:f\nquestion: '{q}'", "set hub_id .* or data"),
        ("reward: m:f\nquestion: '{q}'\ndata: d\nkind: maths", r"kind \('maths'\) must be one of math, code"),
        ("reward: m:f\nquestion: '{q}'\ndata: d\nmax_new_tokens: many", r"max_new_tokens \('many'\)"),
        ("reward: m:f\nquestion: '{q}'\ndata: d\ntemplate: 'Q:'", "template .* must hold '{question}'"),
        ("reward: m:f\nquestion: '{q}'\ndata: d\ncolumns: a", r"columns \('a'\) must map"),
        ("reward: m:f\nquestion: '{q}'\ndata: 5", r"data \(5\) must be text"),
    ],
)
def test_bad_yaml_is_named(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_benchmark(tmp_path / "bad.yaml")
