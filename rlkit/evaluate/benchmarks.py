r"""The table of benchmarks that `rlkit eval --benchmarks` knows by name.

Columns marked "not checked" are as commonly loaded; the others were read off a copy. Alternatives are for
copies that circulate: the evaluation files of Qwen2.5-Math (AIME 2024, SVAMP) and POLARIS (AIME 2025).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rlkit.evaluate import few_shot
from rlkit.evaluate.benchmark import Benchmark, read_benchmark

MATH_INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."

_GSM8K = Benchmark(
    name="gsm8k",
    hub_id="openai/gsm8k",
    hub_config="main",
    question="{question}",
    columns={"answer": "answer"},
    reward="rewards.math_answer:accuracy",
    kind="math",
    instruction=MATH_INSTRUCTION,
    template=few_shot.MATH_TEMPLATE,
    examples=few_shot.WORD_PROBLEMS,
    stop=few_shot.MATH_STOP,
    max_new_tokens=1024,
    licence="MIT",
)
_MATH500 = replace(
    _GSM8K,
    name="math500",
    hub_id="HuggingFaceH4/MATH-500",
    hub_config=None,
    question="{problem}",
    id="unique_id",
    examples=few_shot.COMPETITION,
    max_new_tokens=4096,
    licence="MIT (hendrycks/math, openai/prm800k)",
)
_HUMANEVAL = Benchmark(
    name="humaneval",
    hub_id="openai/openai_humaneval",
    question="{prompt}",
    id="task_id",
    columns={"test": "test", "entry_point": "entry_point", "code_prompt": "prompt"},
    reward="rewards.code:humaneval",
    kind="code",
    instruction="Complete this Python function. Answer with the whole function in one ```python code block.",
    stop=("\nclass ", "\ndef ", "\n#", "\nif __name__", "\nprint("),  # those of the paper, arXiv 2107.03374
    max_new_tokens=1024,
    licence="MIT",
)
_MBPP = Benchmark(
    name="mbpp",
    hub_id="google-research-datasets/mbpp",
    hub_config="full",
    question=(
        "{text} Your code should pass these tests:\n\n{test_list}",
        "{prompt} Your code should pass these tests:\n\n{test_list}",  # the sanitized file
    ),
    id="task_id",
    id_range=(11, 510),  # the test split; the original file holds all 974
    reward="rewards.code:mbpp",
    kind="code",
    instruction="Answer with the Python code in one ```python code block.",
    template=few_shot.PYTHON_TEMPLATE,
    examples=few_shot.PYTHON,
    stop=few_shot.PYTHON_STOP,
    max_new_tokens=1024,
    licence="CC-BY-4.0",
)

_ALL = (
    _GSM8K,
    _MATH500,
    replace(
        _MATH500,
        name="aime24",
        hub_id="HuggingFaceH4/aime_2024",
        split="train",
        id="id",
        max_new_tokens=16384,
        licence="Apache-2.0 (not checked); problems MAA",
    ),
    replace(
        _MATH500,
        name="aime25",
        hub_id="yentinglin/aime_2025",  # columns not checked
        split="train",
        question=("{problem}", "{prompt.0.content}"),
        columns={"answer": ("answer", "reward_model.ground_truth")},
        id=("id", "extra_info.id"),
        max_new_tokens=16384,
        licence="none stated; problems MAA",
    ),
    replace(
        _MATH500,
        name="amc23",
        hub_id="math-ai/amc23",  # columns not checked
        question=("{question}", "{problem}"),
        id="id",
        max_new_tokens=8192,
        licence="none stated (not checked); problems MAA",
    ),
    replace(
        _MATH500,
        name="minerva",
        hub_id="math-ai/minervamath",  # columns not checked
        question=("{question}", "{problem}"),
        id=(),
        licence="CC-BY-NC-SA-4.0 (MIT OpenCourseWare, not checked)",
    ),
    replace(
        _MATH500,
        name="olympiadbench",
        hub_id="math-ai/olympiadbench",  # columns not checked; final_answer is a list, any of it counts
        question="{question}",
        columns={"answer": "final_answer"},
        id="id",
        max_new_tokens=8192,
        licence="Apache-2.0 (not checked)",
    ),
    replace(
        _GSM8K,
        name="svamp",
        hub_id="ChilleD/SVAMP",
        hub_config=None,
        question="{Body} {Question}",
        columns={"answer": "Answer"},
        id="ID",
        licence="MIT",
    ),
    _HUMANEVAL,
    _MBPP,
    replace(
        _HUMANEVAL,
        name="humaneval_plus",
        hub_id="evalplus/humanevalplus",  # columns not checked
        licence="Apache-2.0 (evalplus), MIT",
    ),
    replace(
        _MBPP,
        name="mbpp_plus",
        hub_id="evalplus/mbppplus",  # columns not checked; `test` is one script with all inputs
        hub_config=None,
        id_range=None,
        columns={"test_list": "[test]"},
        licence="Apache-2.0 (evalplus), CC-BY-4.0",
    ),
)

BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}


def find_benchmark(name_or_file: str) -> Benchmark:
    """The entry of a name of the table, or of a .yaml file. ValueError lists the names."""
    if name_or_file.endswith((".yaml", ".yml")):
        return read_benchmark(Path(name_or_file))
    if name_or_file not in BENCHMARKS:
        raise ValueError(
            f"benchmark {name_or_file!r} is unknown; there are {', '.join(BENCHMARKS)}, "
            "and your own as a .yaml file"
        )
    return BENCHMARKS[name_or_file]


def data_files(words: Sequence[str], names: Sequence[str]) -> dict[str, Path]:
    """The local copies that NAME=FILE words give for benchmarks of these names, or a ValueError."""
    files = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise ValueError(f"data ({word}) must be NAME=FILE, such as gsm8k=test.jsonl")
        if name not in names:
            raise ValueError(f"data ({word}): {name!r} is not among the benchmarks {', '.join(names)}")
        files[name] = Path(path)
    return files
