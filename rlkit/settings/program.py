"""How a program of ours (a recipe, a command) begins and ends: what libraries would say on their own is
settled, our warnings stand out, a mistake in the settings is one line, and what succeeded ends with code 0.

A script of your own that only imports rlkit is left as it is.
"""

import atexit
import ctypes
import os
import sys
import warnings
from types import TracebackType

from rlkit.settings.voice import listen, speaks

TRACEBACK = "RLKIT_TRACEBACK"
"""Set in the environment: a mistake shows where it was noticed, too."""
# From glibc's malloc.h, as the standard library does not know them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def begin() -> None:
    """To be called before the heavy imports."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "1")  # the telemetry of the libraries is off unless the user turns it on
    # TRL calls these by the names that transformers is about to drop, several times a run.
    warnings.filterwarnings(
        "ignore",
        r"`(is_)?gradient_checkpointing(_enable|_disable)?` is deprecated",
        FutureWarning,
        r"transformers\.modeling_utils",
    )
    sys.excepthook = _tell
    listen()


def quiet_libraries() -> None:
    """Before a model loads: no bars of its shards, and DeepSpeed need not look for an accelerator in vain."""
    import torch
    from transformers.utils import logging

    if not torch.accelerator.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.disable_progress_bar()


def keep_memory() -> None:
    """Before training on a processor: freed blocks of up to 64 MiB, and 1 GiB of them, stay with the process.

    Else glibc gives every tensor's pages back, and each step's are faulted in anew: a sixth of an update of a
    tiny policy. If larger blocks stayed too, a process would hold twice as much. Without glibc it does
    nothing.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, 2**26)
        set_option(_M_TRIM_THRESHOLD, 2**30)


def leave() -> None:
    """Ends this process, with code 0, where it is one of several and all is done.

    A thread of gloo's that drops its last tensor while the interpreter is taken down aborts the process
    (github.com/pytorch/pytorch/issues/190489), and the launcher takes the run for a failed one. So what is
    registered to run at the end runs, and the interpreter is not taken down.
    """
    import torch

    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return
    torch.distributed.destroy_process_group()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if os.environ.get(TRACEBACK) or not is_mistake(error, traceback):
        sys.__excepthook__(kind, error, traceback)
    elif speaks():
        print(f"rlkit: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def is_mistake(error: BaseException, traceback: TracebackType | None) -> bool:
    """Whether it is the user's to mend: a bad value, file or version, noticed before the training began."""
    if isinstance(error, ImportError):
        return error.name == "trl"
    if not isinstance(error, ValueError | OSError):
        return False
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__") == "transformers.trainer" and frame.f_code.co_name == "train":
            return False
        traceback = traceback.tb_next
    return True
