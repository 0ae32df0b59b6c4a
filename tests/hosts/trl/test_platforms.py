"""Guards that a run needs nothing that only Linux and CUDA have: what MPS and Windows lack fails here."""

import errno
import os
import signal

import pytest
import torch
from tiny_trl import even_start, make_trainer, metrics, tiny

from rlkit import CurriculumConfig
from rlkit.record.disk import sync
from rlkit.record.manifest import defect
from rlkit.verify import time_limit

SAVING = {"save_strategy": "steps", "save_steps": 1}


@pytest.fixture
def no_float64(monkeypatch):
    """As MPS: no tensor of 64-bit floats is made on the device, nor moved to it."""
    double, to, tensor = torch.Tensor.double, torch.Tensor.to, torch.tensor

    def refuse(*args, **kwargs):
        raise TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
        )

    def guarded_to(self, *args, **kwargs):
        return refuse() if self.dtype == torch.float64 else to(self, *args, **kwargs)

    def guarded_tensor(data, *args, device=None, **kwargs):
        made = tensor(data, *args, device=device, **kwargs)
        return refuse() if device is not None and made.dtype == torch.float64 else made

    monkeypatch.setattr(torch.Tensor, "double", refuse)
    monkeypatch.setattr(torch.Tensor, "to", guarded_to)
    monkeypatch.setattr(torch, "tensor", guarded_tensor)
    assert double is not torch.Tensor.double


SHRINK = CurriculumConfig(curriculum="dapo", max_rounds=1, fill="shrink")


@pytest.mark.parametrize(
    "curriculum", [SHRINK, "vip", tiny("ssb"), "dots"], ids=["shrink", "vip", "ssb", "dots"]
)
def test_a_device_without_float64(tmp_path, no_float64, curriculum):
    make_trainer(tmp_path, curriculum, max_steps=3, loss_type="grpo").train()
    assert len(metrics(tmp_path)) == 3


def test_a_system_without_the_signals(tmp_path, monkeypatch, caplog):
    monkeypatch.delattr(signal, "SIGUSR2")
    monkeypatch.delattr(signal, "pthread_kill")
    time_limit._has_signals.cache_clear()
    trainer = make_trainer(
        tmp_path, CurriculumConfig(reward_timeout=0.5), [even_start, even_start], max_steps=2
    )
    trainer.train()
    time_limit._has_signals.cache_clear()
    assert [row["grade/error"] for row in metrics(tmp_path)] == [0, 0]
    said = [record for record in caplog.records if "sync rewards have no time limit" in record.message]
    assert len(said) == 1


@pytest.mark.parametrize("fails", ["open", "fsync"])
def test_a_system_that_syncs_no_folders(tmp_path, monkeypatch, fails):
    """Windows opens none; some network disks sync none."""
    opened, synced = os.open, os.fsync

    def guarded_open(path, *args, **kwargs):
        if fails == "open" and os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *args, **kwargs)

    def guarded_fsync(descriptor):
        if fails == "fsync" and os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        return synced(descriptor)

    monkeypatch.setattr(os, "open", guarded_open)
    monkeypatch.setattr(os, "fsync", guarded_fsync)
    make_trainer(tmp_path, max_steps=2, **SAVING).train()
    assert defect(tmp_path / "checkpoint-2") is None


def test_a_file_that_cannot_be_synced_is_told(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("text")

    def full(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="Input/output"):
        sync(path)
    with pytest.raises(OSError, match="Input/output"):
        sync(tmp_path)
