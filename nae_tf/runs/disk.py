"""Files: writes that reach the disk, and failures reported in one line."""

import contextlib
import io
import os
import pathlib
import re
from collections.abc import Iterator
from typing import IO

import tensorflow as tf

# Errors of TensorFlow that files or disks cause.
_FILE_ERRORS = (
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.ResourceExhaustedError,
    tf.errors.OutOfRangeError,  # A file larger than the system allows.
    tf.errors.DataLossError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


def flush_to_disk(path):
    """Wait until a file, or a directory's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree_to_disk(path):
    """Wait until a directory and everything below it are on the disk."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            flush_to_disk(os.path.join(folder, name))
        flush_to_disk(folder)


@contextlib.contextmanager
def explain_file_errors(failed: str, remedy: str):
    """Explain an error of a file or a disk: what failed, why, what to do.

    An error that an inner context has explained is passed on as it is.

    Args:
        failed: beginning of the message: the operation that failed.
        remedy: end of the message: a sentence that says what to do.

    Raises:
        OSError: if a file or a disk failed; the message is one line.
    """
    try:
        with explain_tensorflow_file_errors(failed, remedy):
            yield
    except OSError as error:
        if error.errno is None:  # An inner context has explained it.
            raise
        reason = error.strerror or str(error)
        raise OSError(f"{failed}: {reason}. {remedy}") from error


@contextlib.contextmanager
def explain_tensorflow_file_errors(failed: str, remedy: str):
    """Explain only errors of files and disks that TensorFlow itself reports.

    Args:
        failed: beginning of the message: the operation that failed.
        remedy: end of the message: a sentence that says what to do.

    Raises:
        OSError: if a file or a disk failed; the message is one line.
    """
    try:
        yield
    except _FILE_ERRORS as error:
        raise OSError(f"{failed}: {_reason(error)}. {remedy}") from error


def explain_write_errors(
    failed: str, then: str = "run the command again"
) -> contextlib.AbstractContextManager:
    """Explain that something could not be written, as on a full disk.

    Args:
        failed: beginning of the message: the operation that failed.
        then: end of the message: what to do once there is space again.

    Returns:
        A context manager that raises OSError with a message of one line.
    """
    return explain_file_errors(
        failed,
        "Free disk space or fix the permissions of the directory, then "
        f"{then}.",
    )


def explain_data_errors(
    name: str, then: str = "run the command again"
) -> contextlib.AbstractContextManager:
    """Explain that data could not be read while they were in use.

    Args:
        name: name of the data, used in the message.
        then: end of the message: what to do once the data are back.

    Returns:
        A context manager that raises OSError with a message of one line.
    """
    return explain_tensorflow_file_errors(
        f"the data of {name!r} could not be read",
        f"Put them back, then {then}.",
    )


def _reason(error: tf.errors.OpError) -> str:
    """Find the reason among the nodes and stacks of TensorFlow's message."""
    # TensorFlow writes errors of the system as "path; No such file".
    if match := re.search(r"(\S+); ([A-Z][^\[\n\t]*)", error.message):
        return f"{match[1]}: {match[2].strip()}"
    return error.message.strip().splitlines()[0].rstrip(".:")


@contextlib.contextmanager
def replaced_atomically(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Open a file that takes another's place once it is written as a whole.

    Args:
        path: path of the file. If the context ends by an exception, what was
            there stays.

    Raises:
        OSError: if the file cannot be written; the message is one line.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with explain_write_errors(f"cannot write {str(path)!r}"):
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomically(path: pathlib.Path, content: str | bytes):
    """Write a file under a temporary name and rename it.

    Args:
        path: path of the file.
        content: contents; a text is written as UTF-8.

    Raises:
        OSError: if the file cannot be written; the message is one line.
    """
    with replaced_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_figure(path: pathlib.Path, figure):
    """Write a figure as PNG by `write_atomically`.

    Args:
        path: path of the file.
        figure: a `matplotlib.figure.Figure`.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    write_atomically(path, file.getvalue())
