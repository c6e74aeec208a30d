"""The files of a run that grow: metrics.csv and TensorBoard's events.

A checkpoint holds their sizes. Resuming from it cuts off what was written
later and will be written again, so that no row is missing or there twice.
"""

import os

from nae_tf.runtime import RunDirectory


def record_sizes(run: RunDirectory) -> dict[str, int]:
    """Return sizes by path in the run directory, once they are on the disk."""
    sizes = {}
    for path in _records(run):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        sizes[path.relative_to(run.path).as_posix()] = size
    return sizes


def cut_records(run: RunDirectory, sizes: dict[str, int]):
    """Cut the files back to `sizes`, and delete those without a size."""
    for path in _records(run):
        size = sizes.get(path.relative_to(run.path).as_posix())
        if size is None:
            path.unlink()
        elif size < path.stat().st_size:
            os.truncate(path, size)


def _records(run):
    events = (path for path in run.tensorboard.rglob("*") if path.is_file())
    return sorted([*filter(lambda path: path.exists(), [run.metrics]), *events])
