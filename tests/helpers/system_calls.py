"""Stop another process before each of its system calls that write (Linux)."""

import ctypes
import os
import pathlib
import platform
import signal
import subprocess
from collections.abc import Callable

# x86_64 numbers: write, pwrite64, writev, sendfile, fsync, truncate, ftruncate,
# rename, mkdir, rmdir, creat, link, unlink, openat, mkdirat, unlinkat,
# renameat, pwritev, renameat2, copy_file_range.
_WRITING = {
    1, 18, 20, 40, 74, 76, 77, 82, 83, 84, 85, 86, 87, 257, 258, 263, 264,
    296, 316, 326,
}  # fmt: skip
_SYSCALL, _SETOPTIONS, _SEIZE, _INTERRUPT, _SYSCALL_INFO = (
    24, 0x4200, 0x4206, 0x4207, 0x420E,
)  # fmt: skip
_TRACE_SYSGOOD, _TRACE_CLONE, _EXIT_KILL = 1, 8, 0x100000
_WALL = 0x40000000
_ENTRY = 1


class _SyscallInfo(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    ]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long] + [ctypes.c_void_p] * 2
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread, address=0, data=0):
    if _libc.ptrace(request, thread, address, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def can_trace() -> bool:
    """Whether this machine lets a process trace its children."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    child = subprocess.Popen(["sleep", "60"])
    try:
        _ptrace(_SEIZE, child.pid, 0, _EXIT_KILL)
    except OSError:
        return False
    finally:
        child.kill()
        child.wait()
    return True


def before_every_write(
    process: int, begin: Callable[[], object], observe: Callable[[], object]
):
    """Call `observe` before every writing system call, until the process ends.

    Args:
        process: a child that waits for `begin`.
        begin: lets it go on.
        observe: takes nothing; the thread about to write is stopped meanwhile.

    Returns:
        The exit status.
    """
    options = _TRACE_SYSGOOD | _TRACE_CLONE | _EXIT_KILL
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        _ptrace(_SEIZE, int(task.name), 0, options)
        _ptrace(_INTERRUPT, int(task.name))
    begin()
    info = _SyscallInfo()
    while True:
        thread, status = os.waitpid(-1, _WALL)
        if not os.WIFSTOPPED(status):
            if thread == process:
                return os.waitstatus_to_exitcode(status)
            continue
        received, delivered = os.WSTOPSIG(status), 0
        if received == signal.SIGTRAP | 0x80:
            size = ctypes.sizeof(info)
            _ptrace(_SYSCALL_INFO, thread, size, ctypes.addressof(info))
            if info.op == _ENTRY and info.number in _WRITING:
                observe()
        elif status >> 16 == 0 and received != signal.SIGTRAP:
            delivered = received
        _ptrace(_SYSCALL, thread, 0, delivered)
