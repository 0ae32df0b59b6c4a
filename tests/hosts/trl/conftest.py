"""The tests of the TRL host run offline, on one thread a process, and share `tiny_trl.py`."""

import gc
import os
import sys
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def quick_garbage_collection():
    """Each `train` ends in a full collection: 0.3 s over the imported libraries unless they are set aside."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
