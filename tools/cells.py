"""Cells of tables: one training each, stored where they are found again.

A finished cell is a small JSON file with its figures, seconds, commit and
machine. Cells that are missing are trained in worker processes, each of which
imports TensorFlow once and trains one cell after the other; an interrupted run
goes on with the cells that are missing.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import os
import pathlib
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable

import keras
import numpy as np
import scipy.stats

from nae_tf.evaluation import aurocs
from nae_tf.experiment import Experiment
from nae_tf.progress import note, progress_bar
from nae_tf.runtime import RunDirectory, parse_config, write_atomically
from nae_tf.train import train

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training of a table.

    Attributes:
        name: where its results are below docs/results, without ".json".
        gin_files: configuration, relative to the repository.
        bindings: gin bindings.
        measure: makes further results of a finished run; a function of a
            module, because it runs in a worker process.
    """

    name: str
    gin_files: tuple[str, ...]
    bindings: tuple[str, ...]
    measure: Callable[[RunDirectory, Experiment], dict] | None = None

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
        cells: of any table.
        jobs: worker processes; the processors are shared out among them.

    Raises:
        RuntimeError: a training failed; the message tells where its log is.
    """
    missing = [cell for cell in cells if not cell.stored.exists()]
    if not missing:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Workers inherit the environment.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    origin = {"threads": threads, "commit": commit(), "machine": machine()}
    with (
        progress_bar(len(missing), "cell") as bar,
        concurrent.futures.ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn")
        ) as pool,
    ):
        futures = [pool.submit(_run, cell, origin) for cell in missing]
        try:
            for done, future in enumerate(
                concurrent.futures.as_completed(futures), start=1
            ):
                name, seconds = future.result()
                bar.update()
                note(f"{done}/{len(missing)} cells: {name}, {seconds} s")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _run(cell: Cell, origin: dict) -> tuple[str, int]:
    shutil.rmtree(cell.run_dir, ignore_errors=True)
    cell.run_dir.parent.mkdir(parents=True, exist_ok=True)
    log = cell.run_dir.with_suffix(".log")
    start = time.monotonic()
    try:
        with (
            open(log, "w") as output,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            files = [str(REPOSITORY / file) for file in cell.gin_files]
            parse_config(files, cell.bindings)
            run = RunDirectory(cell.run_dir)
            experiment = Experiment.from_config()
            evaluated = train(run, experiment)
            results = {
                "task": evaluated["task"],
                "seed": evaluated["seed"],
                "auroc": aurocs(evaluated),
            }
            if cell.measure is not None:
                results |= cell.measure(run, experiment)
    except Exception as error:
        raise RuntimeError(f"{cell.name} failed: {error} See {log}.") from error
    keras.utils.clear_session()
    seconds = round(time.monotonic() - start)
    results |= {"bindings": list(cell.bindings), "seconds": seconds} | origin
    cell.stored.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(cell.stored, json.dumps(results, indent=2) + "\n")
    return cell.name, seconds


def commit() -> str:
    """Return the commit that is checked out, marked if files were changed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def machine() -> str:
    """Return the processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def provenance(results: Iterable[dict]) -> str:
    """Say where and when cells were computed, in a sentence."""
    results = list(results)
    commits = sorted({result["commit"] for result in results})
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
