"""Stop another process where it writes, or let its writes fail (Linux)."""

import contextlib
import ctypes
import errno
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
    child: subprocess.Popen, observe: Callable[[], object]
) -> int:
    """Call `observe` before every writing system call, until the child ends.

    Args:
        child: a process that waits for a line of its standard input, the first
            of its process group.
        observe: takes nothing; the thread about to write is stopped meanwhile.

    Returns:
        The exit status.
    """
    for _, call in _system_calls(child):
        if call.op == _ENTRY and call.number in _WRITING:
            observe()
    return child.returncode


def _system_calls(child):
    """Let a child go on; yield thread and call before each call and after."""
    options = _TRACE_SYSGOOD | _TRACE_CLONE | _EXIT_KILL
    for task in pathlib.Path(f"/proc/{child.pid}/task").iterdir():
        _ptrace(_SEIZE, int(task.name), 0, options)
        _ptrace(_INTERRUPT, int(task.name))
    child.stdin.write(b"\n")
    child.stdin.flush()
    info = _SyscallInfo()
    size = ctypes.sizeof(info)
    while True:
        # Its threads, and no other child of this process.
        thread, status = os.waitpid(-child.pid, _WALL)
        if not os.WIFSTOPPED(status):
            if thread == child.pid:
                # It has been waited for.
                child.returncode = os.waitstatus_to_exitcode(status)
                return
            continue
        received, delivered = os.WSTOPSIG(status), 0
        # A thread that was killed meanwhile cannot be asked or sent on.
        with contextlib.suppress(ProcessLookupError):
            if received == signal.SIGTRAP | 0x80:
                _ptrace(_SYSCALL_INFO, thread, size, ctypes.addressof(info))
                yield thread, info
            elif status >> 16 == 0 and received != signal.SIGTRAP:
                delivered = received
            _ptrace(_SYSCALL, thread, 0, delivered)


# Which of the arguments names the file: a descriptor, a path, or a path beside
# the descriptor of a folder.
_BY_DESCRIPTOR = {1, 18, 20, 40, 74, 75, 77, 296, 326}
_BY_PATH = {76, 82, 83, 84, 85, 86, 87}
_BESIDE = {257, 258, 263, 264, 316}
_OPENAT, _HERE = 257, -100
_OPEN_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_GETREGS, _SETREGS = 12, 13
_RAX, _ORIG_RAX = 10, 15
# No such path exists: opening it tells the tracer something.
_TOLD = "/fault injection"
# The fault that ends the process.
KILL = 0


def fail_at(position: int, number: int):
    """Let the system call of this process at a position fail, from 1.

    It works in a process that `with_faults` traces.

    Args:
        position: position among its calls that write into the folder.
        number: error, such as `errno.ENOSPC`, or `KILL`.
    """
    _tell(f"{position}/{number}")


def has_failed() -> bool:
    """Return whether that call came and failed; no other one will."""
    return _tell("off") == errno.EEXIST


def _tell(text):
    try:
        os.close(os.open(f"{_TOLD}/{text}", os.O_RDONLY))
    except OSError as error:
        return error.errno
    raise AssertionError("this process is not traced")


def with_faults(child: subprocess.Popen, folder) -> int:
    """Trace a process, whose writes into a folder fail as it asks for.

    Args:
        child: a process that waits for a line of its standard input, the first
            of its process group.
        folder: the folder; other files are left alone.

    Returns:
        The exit status.
    """
    folder = os.fsencode(folder)
    left, number, failed = 0, 0, False
    results: dict[int, int] = {}  # By thread, until the call returns.
    for thread, call in _system_calls(child):
        if call.op != _ENTRY:
            if thread in results:
                _set_register(thread, _RAX, results.pop(thread))
        elif told := _told(child.pid, call):
            if told == "off":
                if failed:
                    results[thread] = -errno.EEXIST
                left = 0
            else:
                left, number = map(int, told.split("/"))
                failed = False
        elif left and (_file_of(child.pid, call) or b"").startswith(folder):
            left -= 1
            if not left:
                failed = True
                if number == KILL:
                    os.kill(child.pid, signal.SIGKILL)
                    continue
                # The system does nothing, and says what it is told to.
                _set_register(thread, _ORIG_RAX, -1)
                results[thread] = -number
    return child.returncode


def _set_register(thread, index, value):
    registers = (ctypes.c_uint64 * 27)()
    _ptrace(_GETREGS, thread, 0, ctypes.addressof(registers))
    registers[index] = value & (2**64 - 1)
    _ptrace(_SETREGS, thread, 0, ctypes.addressof(registers))


def _told(process, info):
    if info.number != _OPENAT:
        return None
    path = os.fsdecode(_text(process, info.arguments[1]))
    if not path.startswith(_TOLD):
        return None
    return path.removeprefix(f"{_TOLD}/")


def _file_of(process, info):
    """Path of the file that a call writes, or None."""
    arguments = info.arguments
    if info.number in _BY_DESCRIPTOR:
        return _descriptor(process, arguments[0])
    if info.number in _BY_PATH:
        return _below(process, _HERE, _text(process, arguments[0]))
    if info.number not in _BESIDE:
        return None
    if info.number == _OPENAT and not arguments[2] & _OPEN_TO_WRITE:
        return None
    return _below(process, arguments[0], _text(process, arguments[1]))


def _below(process, descriptor, path):
    """A path in the folder of a descriptor, or in the working directory."""
    return os.path.join(_descriptor(process, descriptor) or b"", path)


def _descriptor(process, descriptor):
    # The number of the working directory is negative, in 32 bits of the 64.
    is_here = descriptor & 0xFFFFFFFF == _HERE & 0xFFFFFFFF
    name = "cwd" if is_here else f"fd/{descriptor}"
    try:
        return os.fsencode(os.readlink(f"/proc/{process}/{name}"))
    except OSError:
        return None


def _text(process, address):
    """A text that ends with a zero byte, in the memory of a process."""
    found = b""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        while b"\0" not in found:
            # Never across the end of a page, behind which there may be none.
            part = memory.read(4_096 - memory.tell() % 4_096)
            if not part:
                break
            found += part
    return found.partition(b"\0")[0]
