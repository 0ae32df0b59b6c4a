"""Guards the pool of math-verify processes: hostile answers, deaths, batches, threads, forks, limits."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.math_answer import accuracy
from rlkit.verify import equivalence, equivalent_groups, same_answer, same_answers
from rlkit.verify.equivalence import POOL, MathPool, MathWorker, num_workers

BOMB = r"\boxed{9^{9^{9^9}}}"
SLOW_OR_LARGE = {
    "tower of powers": BOMB,
    "tower with stars": "9**9**9**9",
    "boxed tower with stars": r"\boxed{9**9**9**9}",
    "tower minus itself": r"\boxed{9^{9^{9^9}} - 9^{9^{9^9}} + 42}",
    "factorial": r"\boxed{99999999!}",
    "factorial of a factorial": r"\boxed{((9!)!)!}",
    "gigantic exponent": r"\boxed{10^{10^{10}}}",
    "gigantic scientific exponent": r"\boxed{1e999999999}",
    "gigantic binomial": r"\boxed{\binom{10^9}{5 \cdot 10^8}}",
    "gigantic product": r"\boxed{\prod_{n=1}^{100000000} n}",
    "large expansion": r"\boxed{(a+b+c+d+e+f)^{200} - (f+e+d+c+b+a)^{200}}",
}
CHEAP = {
    "megabyte without a box": "so it goes on and on, " * 50_000,
    "megabyte and a box": "so it goes on and on, " * 50_000 + r"\boxed{41}",
    "megabyte in a box": r"\boxed{" + "4" * 1_000_000 + "}",
    "nested braces": r"\boxed{" + "{" * 100_000 + "42" + "}" * 100_001,
    "unbalanced braces": r"\boxed{42}}}}{{{" + "{" * 100_000,
    "nested boxes": r"\boxed{" * 10_000,
    "nested fractions": r"\boxed{" + r"\frac{" * 60 + "1" + "}{2}" * 60 + "}",
    "nested parentheses": r"\boxed{" + "(" * 190 + "41" + ")" * 190 + "}",
    "nested roots": r"\boxed{" + r"\sqrt{" * 50 + "41" + "}" * 50 + "}",
    "null bytes": "\\boxed{\x0041\x00}",
    "lone surrogates": "\\boxed{\ud800\udfff}",
    "right-to-left marks": "\\boxed{\u202e41\u200f}",
    "newlines": "\\boxed{4\n\n\n1}",
    "undefined": r"\boxed{\frac{0}{0}}",
    "infinite": r"\boxed{\infty - \infty}",
    "commands": r"\boxed{\input{/etc/passwd}\def\x{\x}\x}",
}


def timed(call):
    start = time.perf_counter()
    return call(), time.perf_counter() - start


@pytest.fixture(autouse=True)
def started_workers():
    """The workers' start is not what is measured; every one of them answers."""
    POOL.ask([(f"{n}/2", f"{n / 2}") for n in range(8 * len(POOL.workers))])


@pytest.mark.parametrize("name", [*SLOW_OR_LARGE, *CHEAP])
def test_a_hostile_completion_is_wrong_and_the_next_answer_is_graded(monkeypatch, name):
    monkeypatch.setattr(equivalence, "SECONDS_PER_ANSWER", 0.5)
    completion = (SLOW_OR_LARGE | CHEAP)[name]
    rewards, seconds = timed(
        lambda: accuracy([completion, r"\boxed{84/2}", completion], answer=["42", "42", "1/2"])
    )
    if name == "unbalanced braces":
        assert rewards == [1.0, 1.0, 0.0]
    else:
        assert rewards == [0.0, 1.0, 0.0]
    assert seconds < 6


def test_a_completion_runs_no_code(tmp_path):
    file = tmp_path / "touched"
    command = f"__import__('os').system('touch {file}')"
    texts = [command, rf"\boxed{{{command}}}", rf"\boxed{{\text{{{command}}}}}", f"#### {command}"]
    assert accuracy(texts, answer=["42"] * 4) == [0.0] * 4
    assert not file.exists()


def test_bombs_cost_a_batch_their_own_time_only(monkeypatch):
    monkeypatch.setattr(equivalence, "SECONDS_PER_ANSWER", 1.0)
    bombs = [rf"\boxed{{9^{{9^{{9^{n}}}}}}}" for n in range(5, 10)]
    texts = [rf"\boxed{{{n}/2}}" for n in range(95)]
    golds = [f"{n / 2}" for n in range(95)]
    pids = [worker._process.pid for worker in POOL.workers if worker._process]
    results, seconds = timed(lambda: same_answers(["42/5"] * 5 + golds, bombs + texts))
    assert results == [False] * 5 + [True] * 95
    assert [worker._process.pid for worker in POOL.workers if worker._process] == pids  # only forks have died
    assert seconds < -(-5 // len(POOL.workers)) * 1.0 + 4  # three seconds for 95 answers on a busy machine


def test_a_worker_that_is_killed_is_replaced_and_its_question_asked_again(monkeypatch):
    monkeypatch.setattr(equivalence, "SECONDS_PER_ANSWER", 1.0)
    worker = MathWorker()
    assert worker.ask(("1/2", "2/4")) is True
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert worker.ask(("1/2", "3/6")) is True
    pid = worker._process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    fork = children.read_text()
    os.kill(int(fork), signal.SIGKILL)  # the one that answers
    while children.read_text() in (fork, ""):
        time.sleep(0.01)
    assert [worker.ask(("1/2", answer)) for answer in ("4/8", "1/3")] == [True, False]
    assert worker.ask(("42/5", BOMB[7:-1])) == "killed"
    assert worker._process.pid == pid
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    assert worker.ask(("42/5", BOMB[7:-1])) == "killed"  # asked again of another worker
    assert worker.ask(("1/2", "5/10")) is True
    worker.close()


def test_a_batch_keeps_its_order_and_asks_equal_pairs_once(monkeypatch):
    asked = []
    ask = MathPool.ask

    def spy(pool, questions):
        asked.extend(questions)
        return ask(pool, questions)

    monkeypatch.setattr(MathPool, "ask", spy)
    golds = [f"{n % 3}/7" for n in range(60)]
    texts = [rf"\boxed{{\frac{{{n % 4}}}{{7}}}}" for n in range(60)]
    assert same_answers(golds, texts) == [n % 3 == n % 4 for n in range(60)]
    assert len(asked) == len(set(asked)) == 12
    assert same_answers([], []) == []


def test_unreadable_golds_are_none_and_unstated_answers_false():
    assert same_answers(["", "1" * 1000, "###", "1/2"], ["1", "1", "1", "no idea"]) == [
        None,
        None,
        False,
        False,
    ]
    with pytest.raises(ValueError):
        same_answers(["1"], ["1", "2"])


def test_threads_share_the_pool():
    results = {}

    def score(i):
        results[i] = same_answers([f"{i / 2}"] * 8, [rf"\boxed{{{i}/2 + {n}-{n}}}" for n in range(8)])

    threads = [threading.Thread(target=score, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == {i: [True] * 8 for i in range(6)}


def test_inside_an_event_loop_and_from_its_threads():
    async def grade():
        here = same_answer("1/2", r"\boxed{\frac{2}{4}}")
        return [here, *await asyncio.gather(*(asyncio.to_thread(same_answer, "3/4", "0.75") for _ in "abc"))]

    assert asyncio.run(grade()) == [True] * 4


def test_a_fork_has_workers_of_its_own():
    code = """
import os, threading
from rlkit.verify import equivalence, same_answers
from rlkit.verify.equivalence import POOL
equivalence.SECONDS_PER_ANSWER = 0.5
golds, texts = ["1/2", "3/4", "1/3"], ["0.5", "0.75", "0.25"]
assert same_answers(golds, texts) == [True, True, False]
busy = threading.Thread(target=same_answers, args=(["7/3"] * 9, [f"9^{{9^{{9^{n}}}}}" for n in range(9)]))
busy.start()
before = [worker._process.pid for worker in POOL.workers if worker._process]
child = os.fork()
assert same_answers(golds, texts) == [True, True, False]
after = [worker._process.pid for worker in POOL.workers if worker._process]
if child == 0:
    assert not set(before) & set(after)
    POOL.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert before == after
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_no_worker_outlives_its_process(end):
    code = f"""
import os, signal, threading, time
from rlkit.verify import equivalence
equivalence.SECONDS_PER_ANSWER = 2.0
equivalence.same_answers(["1/2"] * 2, ["0.5", "0.25+0.25"])
threading.Thread(target=equivalence.same_answer, args=("1/3", "9^{{9^{{9^9}}}}"), daemon=True).start()
time.sleep(0.2)
print(*[worker._process.pid for worker in equivalence.POOL.workers if worker._process], flush=True)
{end}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []


def test_workers_share_the_machine_with_the_other_processes_of_a_run(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert num_workers() == min(8, cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(10 * cores))
    assert num_workers() == 1


@pytest.mark.parametrize(
    ("answers", "groups"),
    [
        ([], []),
        ([None, None], [-1, -1]),
        (["1/2", None, "3", "0.5", r"\frac{2}{4}", "3.0", ""], [0, -1, 1, 0, 0, 1, -1]),
        (["2, 3", "3, 2", "(4, 2)", "5"], [0, 0, 1, 2]),
        (["A", "B", "A", r"\text{(C)}", "(C)"], [0, 1, 0, 2, 2]),
    ],
)
def test_equivalent_groups(answers, groups):
    assert equivalent_groups(answers) == groups


def test_an_endless_answer_is_alone_in_its_group_and_costs_its_limit_once(monkeypatch):
    monkeypatch.setattr(equivalence, "SECONDS_PER_ANSWER", 1.0)
    answers = [BOMB[7:-1], *(f"{n}/7" for n in range(20)), "9^{9^{9^8}}", r"\frac{6}{14}"]
    groups, seconds = timed(lambda: equivalent_groups(answers))
    assert groups == [*range(22), 4]  # the last is 3/7
    assert seconds < 6


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["1/2", "0.5", "x+1", "1+x", "7", None]), max_size=12))
def test_groups_are_numbered_by_first_appearance_and_are_those_of_the_values(answers):
    value = {"1/2": "h", "0.5": "h", "x+1": "x", "1+x": "x", "7": "7"}
    seen = list(dict.fromkeys(value[answer] for answer in answers if answer))
    assert equivalent_groups(answers) == [seen.index(value[answer]) if answer else -1 for answer in answers]


LATEX = r"\frac \sqrt \pi \infty \left( \right) \begin{pmatrix} \end{pmatrix} \\ & \cup \pm \text \int \sum"
SIGNS = r"{ } ( ) [ ] , ; : = < > + - * / ^ _ ! % $ \$ \{ \} | . 0 1 2 9 10 x y a e i ' #### \boxed{"
latex = st.lists(st.sampled_from([*re.split(" ", f"{LATEX} {SIGNS}"), " ", "\n"]), max_size=25).map("".join)


@pytest.mark.slow
@settings(max_examples=250)
@given(st.one_of(st.text(max_size=80), latex, latex.map(lambda text: f"\\boxed{{{text}}}")))
def test_no_completion_makes_the_reward_raise_hang_or_leave_the_unit_interval(text):
    golds = ["42", r"\frac{1}{2}", "(1,2)", "x^2+1", text]
    rewards, seconds = timed(lambda: accuracy([text] * 5, answer=golds))
    assert all(reward is None or 0 <= reward <= 1 for reward in rewards)
    assert seconds < 5 * 3 + 5
