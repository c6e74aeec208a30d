"""Cells of tables: one training each, stored where they are found again.

A finished cell is a small JSON file with its results, seconds, commit and
machine. Missing cells are trained in worker processes, each of which imports
TensorFlow once and trains one cell after the other. SIGTERM and Ctrl-C save the
unfinished cells and exit with status 75. The same command continues them, and
then trains the cells that are still missing.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor

import gin
import keras
import numpy as np
import scipy.stats
import tensorflow as tf

from nae_tf.evaluation.results import metric_values
from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.runs.configuration import message_in_one_line, parse_config
from nae_tf.runs.disk import write_atomically
from nae_tf.runs.progress import print_status, progress_bar
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.train import train
from nae_tf.training.experiment import Experiment
from nae_tf.training.interruption import EXIT_INTERRUPTED

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "tools" / "results"
# Metrics of test data in the results of a cell: their names in results.json.
TEST_METRICS = {"auroc": "auroc", "aupr": "aupr_out"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training of a table.

    Attributes:
        name: path of its results below tools/results, without ".json".
        gin_files: paths of the configuration, relative to the repository.
        bindings: gin bindings.
        measure: function that returns further results of a finished run. It
            must be importable, because it runs in a worker process.
        keeps_test_metrics: whether the results have `TEST_METRICS`.
    """

    name: str
    gin_files: tuple[str, ...]
    bindings: tuple[str, ...]
    measure: Callable[[RunDirectory, Experiment], dict] | None = None
    keeps_test_metrics: bool = True

    @property
    def stored(self) -> pathlib.Path:
        """File of the results."""
        return RESULTS / f"{self.name}.json"

    @property
    def run_dir(self) -> pathlib.Path:
        """Directory of the training."""
        return REPOSITORY / "runs" / "reproduce" / self.name

    def results(self) -> dict | None:
        """Return the stored results, or None."""
        if not self.stored.exists():
            return None
        return json.loads(self.stored.read_text())


def run_missing(cells: Iterable[Cell], jobs: int):
    """Train and store the cells that are not stored, in the order given.

    Args:
        cells: cells of one table or more.
        jobs: number of worker processes, which share the processors.

    Raises:
        RuntimeError: if trainings failed, after all others are done; the
            message names their logs.
        SystemExit: if SIGTERM or Ctrl-C came; the progress is saved.
    """
    # Tables share cells.
    missing = {c.name: c for c in cells if not c.stored.exists()}.values()
    if not missing:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Workers inherit the environment.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    origin = current_origin(threads)
    failures = []
    with (
        progress_bar(len(missing), "cell") as bar,
        concurrent.futures.ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_leave_ctrl_c_to_the_parent,
        ) as pool,
        _workers_saved(pool),
    ):
        futures = [pool.submit(_work, cell, origin) for cell in missing]
        workers = multiprocessing.active_children()
        for done, future in enumerate(
            concurrent.futures.as_completed(futures), start=1
        ):
            try:
                name, seconds = future.result()
            except RuntimeError as error:
                if isinstance(error, BrokenExecutor):
                    if _has_saved_and_ended(workers):
                        raise KeyboardInterrupt from error
                    raise
                failures.append(str(error))
                print_status(f"{done}/{len(missing)} cells: {error}")
            else:
                print_status(
                    f"{done}/{len(missing)} cells: {name}, {seconds} s"
                )
            bar.update()
    if failures:
        raise RuntimeError(" ".join(failures))


@contextlib.contextmanager
def _workers_saved(pool: concurrent.futures.ProcessPoolExecutor):
    """Let the workers save and end if this process is asked to end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():
            worker.terminate()
        pool.shutdown(cancel_futures=True)
        print_status(
            "interrupted: the progress is saved; the same command continues it."
        )
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _has_saved_and_ended(workers) -> bool:
    """Return whether a worker was asked to end, as by Ctrl-C in a terminal.

    It may be done with that before its parent hears of it.
    """
    for worker in workers:
        worker.join(1)
    return any(worker.exitcode == EXIT_INTERRUPTED for worker in workers)


def _leave_ctrl_c_to_the_parent():
    """Ignore the SIGINT that a terminal sends to all processes at Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(cell: Cell, origin: dict) -> tuple[str, int]:
    """Run a cell in a worker process."""
    try:
        return cell.name, run_cell(cell, origin)["seconds"]
    except SystemExit:
        # The pool would begin the next cell.
        os._exit(EXIT_INTERRUPTED)


def run_cell(cell: Cell, origin: dict) -> dict:
    """Train a cell, or continue its run, and store the results.

    A run of another configuration is left alone. A run that another commit
    began is continued; the results then name both commits.

    Args:
        cell: cell that is not stored yet.
        origin: "threads", "commit" and "machine" of this process.

    Returns:
        The results.

    Raises:
        RuntimeError: if the training failed; the message names the log.
        SystemExit: if a signal came; the progress is saved.
    """
    run = RunDirectory(cell.run_dir)
    run.path.mkdir(parents=True, exist_ok=True)
    log = run.path.with_name(f"{run.path.name}.log")
    start = time.monotonic()
    try:
        with (
            open(log, "a") as output,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            settings = configure(cell)
            experiment = Experiment.from_config()
            before = _trained_seconds(run)
            with _sitting(run, origin, before) as origins:
                evaluated = train(run, experiment, resume=True)
            results = {key: evaluated[key] for key in ("task", "seed")}
            if cell.keeps_test_metrics:
                results |= {
                    name: metric_values(evaluated, metric)
                    for name, metric in TEST_METRICS.items()
                }
            if cell.measure is not None:
                results |= cell.measure(run, experiment)
    except BlockingIOError as error:
        # Its message says what to do. The run must not be removed.
        raise RuntimeError(
            f"{cell.name} failed: {message_in_one_line(error)}"
        ) from error
    except Exception as error:
        raise RuntimeError(
            f"{cell.name} failed: {message_in_one_line(error)} See {log}; to "
            f"train it anew, remove {cell.run_dir}."
        ) from error
    finally:
        keras.utils.clear_session()
    seconds = round(before + time.monotonic() - start)
    results |= {"bindings": list(cell.bindings), "settings": settings}
    results |= {"seconds": seconds} | origins
    cell.stored.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(cell.stored, json.dumps(results, indent=2) + "\n")
    return results


def configure(cell: Cell) -> str:
    """Parse a cell's configuration; return a digest of what is set there."""
    files = [str(REPOSITORY / file) for file in cell.gin_files]
    parse_config(files, cell.bindings)
    return hashlib.sha256(gin.config_str().encode()).hexdigest()[:12]


def _trained_seconds(run: RunDirectory) -> float:
    """Return the seconds of training up to the newest checkpoints of a run.

    Training that a crash lost does not count: it is done again.
    """
    checkpoints = [
        CheckpointDirectory(run.checkpoints(phase)).newest()
        for phase in ("pretraining", "training")
    ]
    return sum(
        newest.progress.callbacks["MetricsFile"]["seconds"]
        for newest in checkpoints
        if newest is not None
    )


@contextlib.contextmanager
def _sitting(run: RunDirectory, origin: dict, before: float) -> Iterator[dict]:
    """Record in the run that this process trains it; yield all origins.

    The record is written first, because a crash leaves no time for it. It is
    removed if the run refuses this process, or if the process fails before it
    saves anything: the run then still has `before` seconds of training.
    """
    path = run.path / ".sittings.json"
    sittings = []
    if path.exists():
        sittings = json.loads(path.read_text())
    elif run.config.exists():
        sittings = [dict.fromkeys(origin, "unknown")]
    joined_now = origin not in sittings
    if joined_now:
        sittings.append(origin)
        write_atomically(path, json.dumps(sittings))

    def joined(key):
        return ", ".join(dict.fromkeys(sitting[key] for sitting in sittings))

    try:
        yield origin | {key: joined(key) for key in ("commit", "machine")}
    except BaseException as error:
        in_use = isinstance(error, BlockingIOError)
        if joined_now and (in_use or _trained_seconds(run) == before):
            sittings.remove(origin)
            write_atomically(path, json.dumps(sittings))
        raise


def store_timed(file: pathlib.Path, run: Callable[[], dict], origin: dict):
    """Store what a function returns, with its seconds, unless it is stored.

    Args:
        file: file of the results.
        run: function that computes them.
        origin: result of `current_origin`.
    """
    if file.exists():
        return
    start = time.monotonic()
    results = run() | origin
    results["seconds"] = round(time.monotonic() - start, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(results, indent=2) + "\n")


def current_origin(threads: int | None = None) -> dict:
    """Return what results are stored with: threads, commit and machine.

    Args:
        threads: threads of a training; None for those that this process uses
            within an operation.
    """
    threads = (
        threads
        or tf.config.threading.get_intra_op_parallelism_threads()
        or os.cpu_count()
    )
    return {"threads": threads, "commit": commit(), "machine": machine()}


def commit() -> str:
    """Return the commit that is checked out, marked if code was changed.

    Results and plots that a table has just written do not count as changes.
    """

    def git(*command):
        return subprocess.run(
            ["git", *command],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    checked_out = git("rev-parse", "--short", "HEAD")
    if not checked_out:
        return "unknown"
    changed = git(
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!docs",
        ":!tools/results",
    )
    return f"{checked_out}-dirty" if changed else checked_out


def machine() -> str:
    """Return the processor's name, the number of cores, and the GPUs."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    parts = [f"{name}, {os.cpu_count()} cores"]
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        parts.append(details.get("device_name", gpu.name))
    return ", ".join(parts)


def provenance(results: Iterable[dict]) -> str:
    """Return a sentence on the machines, times and commits of cells."""
    results = list(results)
    # A training that was continued may name several commits.
    commits = sorted({c for r in results for c in r["commit"].split(", ")})
    machines = sorted({result["machine"] for result in results})
    seconds = [result["seconds"] for result in results]
    threads = sorted({result["threads"] for result in results})
    return (
        f"{len(results)} trainings, {np.mean(seconds):.0f} s each on "
        f"{', '.join(map(str, threads))} thread(s) of {'; '.join(machines)}; "
        f"commit {', '.join(commits)}."
    )


def mean_interval(values) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % t-interval."""
    values = np.asarray(values)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    quantile = scipy.stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(quantile * scipy.stats.sem(values))
