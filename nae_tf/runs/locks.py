"""A lock between processes, which the system frees however a process ends."""

import contextlib
import errno
import os
import pathlib
import socket

import filelock


class ProcessLock:
    """A lock file that one process holds at a time.

    The lock is that of the operating system on the file; a file that was left
    behind locks nothing. A second file, named .holder, names the process that
    holds the lock. The lock file itself cannot name it, because some versions
    of filelock empty that file whenever another process tries.
    """

    def __init__(self, path: pathlib.Path):
        """Set the path of the lock file, which `acquire` creates."""
        self._path = path
        self._lock = filelock.FileLock(str(path))
        self._holder = path.with_name(f"{path.name}.holder")

    def acquire(self) -> bool:
        """Take the lock if it is free.

        Returns:
            Whether this process holds the lock; if not, another one does.

        Raises:
            OSError: if the lock file cannot be written, or the file system has
                no locks.
        """
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except NotImplementedError as error:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
        # Without the name, only the message to other processes is less clear.
        with contextlib.suppress(OSError):
            self._holder.write_text(
                f"process {os.getpid()} on {socket.gethostname()}\n",
                encoding="utf-8",
            )
        return True

    def holder(self) -> str:
        """Return who holds the lock, for example "process 12 on host"."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if name := self._holder.read_text(encoding="utf-8").strip():
                return name
        return "another process"

    def release(self):
        """Free the lock."""
        with contextlib.suppress(OSError):
            self._holder.unlink()
        self._lock.release()

    def delete(self):
        """Delete the lock file after its last use."""
        with contextlib.suppress(OSError):
            self._path.unlink()
