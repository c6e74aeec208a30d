"""One process trains in a run directory."""

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

from nae_tf.io_errors import one_line_io_errors

LOCK_FILE = ".lock"


@contextlib.contextmanager
def run_lock(directory: pathlib.Path) -> Iterator[None]:
    """Hold a directory while a process trains there.

    The system frees the lock when the process ends, however it ends: a lock
    file that was left behind is no obstacle.

    Raises:
        BlockingIOError: another process holds it.
    """
    path = directory / LOCK_FILE
    with one_line_io_errors(
        f"cannot write into the run directory {str(directory)!r}",
        "Mend its permissions, or choose a different --run_dir.",
    ):
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BlockingIOError(
                f"the run directory {str(directory)!r} is in use by "
                f"{file.read().strip() or 'another process'}; wait until it "
                "has ended, or choose a different --run_dir."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
