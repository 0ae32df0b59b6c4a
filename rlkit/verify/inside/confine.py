"""A process limits itself, for good, before it runs what is not trusted.

Resource limits are lowered, hard and soft, and a seccomp filter leaves one process: it may start threads, but
no other process. So there is no fork bomb and no grandchild to hunt for, and RLIMIT_AS bounds the memory of
all that runs. Memory that no limit counts (System V segments, memfd), sockets and tracing are refused, and
so are changes to other processes and message queues, by which one run could leave something to the next.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

MAX_OPEN_FILES = 64
STACK_BYTES = 120 * 1024**2  # what the kernel keeps free below a main thread's stack

# seccomp(2), linux/filter.h, linux/audit.h
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32_CALLS = 0x40000000
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 1, 22, 38, 2

_MACHINES = {
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}  # audit number; column of the tables below
_CLONE, _CLONE3, _PRCTL = (56, 220), (435, 435), (157, 167)
_FORKS = ((57, None), (58, None))  # fork, vfork
_REFUSED = {
    "socket": (41, 198),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mq_open": (240, 180),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
}
_OF_ITSELF_ONLY = {  # the first argument is a process: 0 is the caller
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}


def supported() -> bool:
    """Whether the filter is known for this machine."""
    return sys.platform == "linux" and os.uname().machine in _MACHINES


def confine(limits: Mapping[str, int]) -> None:
    """Lower the limits of this process: cpu_seconds, memory_bytes, file_bytes; one process, no sockets."""
    confine_but_forks(limits)(limits["cpu_seconds"])


def confine_but_forks(limits: Mapping[str, int]) -> Callable[[int], None]:
    """As confine, but this process may fork and has all the processor time.

    What it returns takes both from a process that it forks: called there with its `cpu_seconds`.
    """
    memory = resource.RLIMIT_DATA if limits["counts_data"] else resource.RLIMIT_AS
    for kind, value in (
        (memory, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard == resource.RLIM_INFINITY or hard >= STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, STACK_BYTES))
    machine = _MACHINES[os.uname().machine]
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)()
    _filtering(_refusals(*machine))()
    to_do = [_prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), _filtering(_one_process(*machine))]

    def rest(cpu_seconds: int) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        for do in to_do:
            do()

    return rest


def _filtering(instructions: Sequence[bytes]) -> Callable[[], None]:
    """The call that adds a filter to this process's, ready to be made in a fork."""
    buffer = ctypes.create_string_buffer(b"".join(instructions))
    program = _Program(len(instructions), ctypes.addressof(buffer))
    call = _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))

    def do(kept: object = (buffer, program)) -> None:  # the kernel reads them in the call
        call()

    return do


def _prctl(*arguments: int) -> Callable[[], None]:
    function = ctypes.CDLL(None, use_errno=True).prctl
    converted = [ctypes.c_ulong(argument) for argument in [*arguments, 0, 0, 0][:5]]

    def do() -> None:
        if function(*converted) != 0:
            raise OSError(ctypes.get_errno(), f"prctl{arguments} failed")

    return do


class _Program(ctypes.Structure):
    _fields_ = [("num_instructions", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """if_true and if_false: how many of the next instructions a jump skips."""
    return code.to_bytes(2, "little") + bytes([if_true, if_false]) + value.to_bytes(4, "little")


_REFUSE, _ALLOWED = _instruction(_RETURN, _ERROR | errno.EPERM), _instruction(_RETURN, _ALLOW)


def _begin(architecture: int) -> list[bytes]:
    """Load the number of a call, of this architecture alone."""
    return [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, architecture, if_true=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]


def _refusals(architecture: int, machine: int) -> list[bytes]:
    """Refused calls get EPERM, some by their first argument; all else runs."""
    refused = [calls[machine] for calls in _REFUSED.values()]
    return [
        *_begin(architecture),
        _instruction(_IF_AT_LEAST, _X32_CALLS, if_false=1),
        _REFUSE,
        *(part for call in refused for part in (_instruction(_IF_EQUAL, call, if_false=1), _REFUSE)),
        *(part for calls in _OF_ITSELF_ONLY.values() for part in _if_first_argument_is_0(calls[machine])),
        _ALLOWED,
    ]


def _one_process(architecture: int, machine: int) -> list[bytes]:
    """No fork; clone for threads only; it dies with its parent."""
    forks = [call for calls in _FORKS if (call := calls[machine]) is not None]
    return [
        *_begin(architecture),
        *(part for call in forks for part in (_instruction(_IF_EQUAL, call, if_false=1), _REFUSE)),
        _instruction(_IF_EQUAL, _CLONE3[machine], if_false=1),
        _instruction(_RETURN, _ERROR | errno.ENOSYS),  # then glibc takes clone, whose flags can be seen
        _instruction(_IF_EQUAL, _CLONE[machine], if_false=4),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_IF_ANY_BIT, _CLONE_THREAD, if_true=1),
        _REFUSE,
        _ALLOWED,
        _instruction(_IF_EQUAL, _PRCTL[machine], if_false=3),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_IF_EQUAL, _PR_SET_PDEATHSIG, if_false=1),
        _REFUSE,
        _ALLOWED,
    ]


def _if_first_argument_is_0(call: int) -> list[bytes]:
    return [
        _instruction(_IF_EQUAL, call, if_false=4),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_IF_EQUAL, 0, if_true=1),
        _REFUSE,
        _ALLOWED,
    ]
