"""Guards a teacher on a local vLLM server: a tiny model of random weights, whose garbage is survived."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))

from tiny_model import save_model

from rlkit.prompts.files import read_rows
from rlkit.synthesize.messages import ask_for_questions, ask_for_solutions
from rlkit.synthesize.replies import Replies, Reply
from rlkit.synthesize.synthesize import Address, synthesize
from rlkit.synthesize.teacher import Limits

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]

FAILED = [{"question": "9+9", "skills": ["adding"]}, {"question": "8-9", "skills": ["taking away"]}]
EXAMPLES = [{"question": "1+1", "skills": ["adding"]}, {"question": "2-1", "skills": ["taking away"]}]
REPLY_TOKENS = 16


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[Address]:
    """A server of vLLM with the tiny model."""
    folder = tmp_path_factory.mktemp("teacher")
    save_model(folder / "model", 0, context=2048)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--model", str(folder / "model"), "--served-model-name", "tiny", "--host", "127.0.0.1"]
    words += ["--port", f"{port}", "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
    with (folder / "log.txt").open("w") as log:
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *words]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _answers(port):
            assert server.poll() is None, (folder / "log.txt").read_text()[-3000:]
            time.sleep(0.5)
        yield Address(f"http://127.0.0.1:{port}/v1", "tiny")
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
        return reply.status == 200
    return False


def nothing_is_kept(address: Address, out: Path) -> str:
    """What the error says; no file is written."""
    with pytest.raises(ValueError, match="nothing was kept of what tiny wrote") as error:
        synthesize(FAILED, EXAMPLES, out, address, reply_tokens=REPLY_TOKENS)
    assert not out.exists()
    return str(error.value)


def test_garbage_instead_of_questions_is_counted_and_not_asked_for_again(address, tmp_path):
    assert "sent: 2, replies without a question: 2" in nothing_is_kept(address, tmp_path / "new.jsonl")
    assert "kept: 2, replies without a question: 2" in nothing_is_kept(address, tmp_path / "new.jsonl")


def test_three_solutions_come_of_one_request(address, tmp_path):
    """The questions are in the file already, as from a better teacher. This model's settings have vLLM say
    the likeliest, thrice: its garbage agrees, and what agrees is taken, as docs/tools.md says."""
    out = tmp_path / "new.jsonl"
    replies = Replies(tmp_path / "new.jsonl.replies.sqlite3")
    for row, text in zip(EXAMPLES, ("3+3", "3-3"), strict=True):
        asked = ask_for_questions("tiny", row["skills"][0], [row["question"]], REPLY_TOKENS)
        replies.put(asked, Reply([f"<question>{text}</question>"], 10))
    found = synthesize(FAILED, EXAMPLES, out, address, reply_tokens=REPLY_TOKENS)
    assert found.counts["questions"] == 2 and len(found.rows) > 0
    assert all(len(row["solutions"]) == 3 and len(set(row["solutions"])) == 1 for row in found.rows)
    assert [row["question"] for row in read_rows(out)] == [row["question"] for row in found.rows]
    for text in ("3+3", "3-3"):
        solved = replies.get(ask_for_solutions("tiny", text, REPLY_TOKENS))
        assert solved is not None and len(solved.texts) == 3
        assert all(isinstance(each, str) for each in solved.texts) and solved.tokens > 3
    replies.close()


def test_a_request_that_is_too_long_is_refused(address, tmp_path):
    """vLLM says 400 where prompt and reply do not fit into the model."""
    with pytest.raises(ValueError, match="refused: 2"):
        synthesize(FAILED, EXAMPLES, tmp_path / "new.jsonl", address, Limits(), reply_tokens=4096)
