"""Files: writes that reach the disk, and failures reported in one line."""

import contextlib
import io
import os
import pathlib
import re

import tensorflow as tf

# What TensorFlow raises when files or disks are the cause.
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
    """Wait until a directory and all that is below it are on the disk."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            flush_to_disk(os.path.join(folder, name))
        flush_to_disk(folder)


@contextlib.contextmanager
def one_line_io_errors(failed: str, remedy: str):
    """Turn an error of a file or a disk into one line.

    Args:
        failed: what failed, the beginning of the line.
        remedy: what to do, its end.

    Raises:
        OSError: with cause and remedy.
    """
    try:
        with one_line_reading_errors(failed, remedy):
            yield
    except OSError as error:
        if error.errno is None:  # It is explained already.
            raise
        reason = error.strerror or str(error)
        raise OSError(f"{failed}: {reason}. {remedy}") from error


@contextlib.contextmanager
def one_line_reading_errors(failed: str, remedy: str):
    """Do the same where TensorFlow's own code reads; other errors pass."""
    try:
        yield
    except _FILE_ERRORS as error:
        raise OSError(f"{failed}: {_reason(error)}. {remedy}") from error


def one_line_data_errors(
    name: str, then: str = "run the command again"
) -> contextlib.AbstractContextManager:
    """Do the same where data are read while they are used.

    Args:
        name: of the data.
        then: what to do once they are back.
    """
    return one_line_reading_errors(
        f"the data of {name!r} could not be read",
        f"Put them back, then {then}.",
    )


def _reason(error: tf.errors.OpError) -> str:
    """Find the reason among the nodes and stacks of TensorFlow's message."""
    # As TensorFlow words an error of the system: "path; No such file".
    if match := re.search(r"(\S+); ([A-Z][^\[\n\t]*)", error.message):
        return f"{match[1]}: {match[2].strip()}"
    return error.message.strip().splitlines()[0].rstrip(".:")


def write_atomically(path: pathlib.Path, content: str | bytes):
    """Write a file under a temporary name and rename it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with one_line_io_errors(
        f"cannot write {str(path)!r}",
        "Make room or mend the directory, then run the command again.",
    ):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_figure(path: pathlib.Path, figure):
    """Write a `matplotlib.figure.Figure` as PNG, as `write_atomically` does."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    write_atomically(path, file.getvalue())
