"""A lock between processes, which the system frees however a process ends."""

import contextlib
import errno
import os
import pathlib
import socket

import filelock


class ProcessLock:
    """A lock file that one process holds at a time.

    What counts is the system's lock on the file: a file that was left behind is
    no obstacle. A second file, named .holder, says who holds it. It could not
    stand in the lock file itself, which some versions of filelock empty
    whenever another process tries.
    """

    def __init__(self, path: pathlib.Path):
        """Name the lock file; it is made by `acquire`."""
        self._path = path
        self._lock = filelock.FileLock(str(path))
        self._holder = path.with_name(f"{path.name}.holder")

    def acquire(self) -> bool:
        """Take the lock if it is free.

        Returns:
            Whether this process holds the lock; if not, another one does.

        Raises:
            OSError: The lock file cannot be written, or the file system knows
                no locks.
        """
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except NotImplementedError as error:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
        # Without a name the message to others is less clear, that is all.
        with contextlib.suppress(OSError):
            self._holder.write_text(
                f"process {os.getpid()} on {socket.gethostname()}\n",
                encoding="utf-8",
            )
        return True

    def holder(self) -> str:
        """Return who holds the lock, "process 12 on host" say."""
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
        """Delete the lock file, once nobody will ask for the lock again."""
        with contextlib.suppress(OSError):
            self._path.unlink()
