"""Devices and machines of a training, and agreement between its processes.

    one device        the default
    several devices   `MirroredStrategy`: all GPUs of the machine
    several machines  `MultiWorkerMirroredStrategy`: TF_CONFIG names them

On several machines every worker runs the whole command, with the same weights,
on its share of every batch. They meet in collective operations, which wait for
all workers. So decisions must be the same everywhere, or the workers wait for
ever; `broadcast_from_chief` takes care of that. Only the chief, which is the
first worker, writes the run directory, by `shared_run`.
"""

import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.json_text import parse_json
from nae_tf.base.private import calls_build_for_fit
from nae_tf.base.replicas import rows_of_all, spans_machines

_CONFIG = "TF_CONFIG"
# Errors of collective operations when another worker has ended.
LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(num_replicas: int | None = None) -> tf.distribute.Strategy:
    """Return the strategy for this machine, or for those of TF_CONFIG.

    Args:
        num_replicas: number of devices to use, > 0: GPUs, or parts of the CPU
            where there is no GPU. None means all GPUs, or the CPU as a whole.

    Raises:
        ImportError: if Keras has changed too much for several machines.
        ValueError: if there are fewer devices, or TF_CONFIG is malformed.
    """
    if _CONFIG in os.environ:
        _check_cluster(os.environ[_CONFIG])
        if num_replicas is not None:
            raise ValueError(
                f"--num_replicas={num_replicas} and the environment variable "
                f"{_CONFIG} exclude each other: with it every worker uses all "
                "its GPUs; hide some by CUDA_VISIBLE_DEVICES."
            )
        _check_keras()
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_physical_devices("GPU")
    if num_replicas is None:
        num_replicas = max(len(gpus), 1)
    if num_replicas < 1 or (gpus and num_replicas > len(gpus)):
        raise ValueError(
            f"expected --num_replicas between 1 and {len(gpus) or 'any'}, the "
            f"number of devices, received {num_replicas}."
        )
    if num_replicas == 1:
        return tf.distribute.get_strategy()
    if not gpus:
        _divide_cpu(num_replicas)
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{index}" for index in range(num_replicas)]
    )


def _divide_cpu(num_devices):
    [cpu, *_] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * num_devices
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < num_devices:
            raise ValueError(
                f"the CPU can no longer be divided into {num_devices} devices, "
                "because TensorFlow has begun to use it; choose the strategy "
                "first of all."
            ) from error


def _check_keras():
    """Refuse a Keras without the method that `OutlierDetector` replaces."""
    if not calls_build_for_fit():
        raise ImportError(
            "training on several machines does not work with Keras "
            f"{keras.__version__}, whose fit has changed; pip install "
            "'keras==3.15.*'."
        )


def _check_cluster(text):
    """Refuse a TF_CONFIG that would fail within TensorFlow.

    Args:
        text: value of TF_CONFIG.
    """
    expected = (
        f'expected {_CONFIG} as {{"cluster": {{"worker": ["host:port", ...]}}, '
        '"task": {"type": "worker", "index": 0}}, '
    )
    try:
        config = parse_json(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{expected}received {text!r}.") from error
    if not set(cluster) <= {"chief", "worker"} or kind not in cluster:
        raise ValueError(
            f"{expected}received a task of type {kind!r} in a cluster of "
            f"{sorted(cluster)}; there are 'chief' and 'worker'."
        )
    if not 0 <= index < len(cluster[kind]):
        raise ValueError(
            f"{expected}received the index {index}, but there are only "
            f"{len(cluster[kind])} of the type {kind!r}."
        )


def worker_index() -> int:
    """Return the index of this process among the workers; 0 is the chief."""
    strategy = tf.distribute.get_strategy()
    if not spans_machines(strategy):
        return 0
    task = parse_json(os.environ[_CONFIG])
    has_chief = "chief" in task["cluster"]
    if task["task"]["type"] == "chief":
        return 0
    return int(task["task"]["index"]) + has_chief


def broadcast_from_chief(*values: float) -> list[float]:
    """Return the values of the chief. A collective operation.

    Args:
        *values: values of this worker.
    """
    return all_gather(*values)[0].tolist()


def all_gather(*values: float) -> np.ndarray:
    """Return the values of all workers. A collective operation.

    Args:
        *values: values of this worker.

    Returns:
        float64 [workers, values], those of the chief first.
    """
    strategy = tf.distribute.get_strategy()
    if not spans_machines(strategy):
        return np.array([values], np.float64)
    rows, *_ = strategy.experimental_local_results(
        _rows_of_all_replicas(tf.constant([values], tf.float64))
    )
    # The rows of a worker's replicas follow each other and are equal.
    return rows.numpy()[:: len(strategy.extended.worker_devices)]


def barrier():
    """Wait until all workers are here. A collective operation."""
    all_gather(0.0)


# A graph, because `Strategy.gather` would make a new one at every call.
@functools.partial(tf.function, autograph=False)
def _rows_of_all_replicas(row):
    def gather(row):
        # The identity places it on the replica's device.
        return rows_of_all(tf.identity(row))

    return tf.distribute.get_strategy().run(gather, (row,))


@contextlib.contextmanager
def shared_run(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give the chief the run directory, and every other worker a copy of it.

    All workers write the same checkpoints, because collecting their contents
    needs all workers. The copies are deleted at the end, and the output of the
    other workers is dropped. To resume a run, all workers must see its files at
    the start: the directory must be on a file system that all machines share.

    Args:
        run_dir: directory of the run.

    Yields:
        The directory to write to.

    Raises:
        ConnectionError: if another worker is gone.
    """
    is_chief = worker_index() == 0
    with contextlib.ExitStack() as stack:
        if not is_chief:
            scratch = pathlib.Path(
                stack.enter_context(tempfile.TemporaryDirectory())
            )
            copy = scratch / run_dir.resolve().name
            if run_dir.is_dir():
                shutil.copytree(run_dir, copy)
            run_dir = copy
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        try:
            # No worker writes before all workers have read.
            barrier()
            yield run_dir
        except (OSError, *LOST_WORKER_ERRORS) as error:
            # Another context may have turned the error into an OSError.
            lost = error.__cause__ if isinstance(error, OSError) else error
            if not isinstance(lost, LOST_WORKER_ERRORS) or not spans_machines(
                tf.distribute.get_strategy()
            ):
                raise
            raise ConnectionError(
                "another worker is gone, or cannot be reached "
                f"({type(lost).__name__}); start all workers again with "
                "--resume."
            ) from error
