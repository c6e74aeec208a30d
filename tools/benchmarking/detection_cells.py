"""Cells of the comparison of detectors: one fit and one test each, stored.

A stored cell is not computed again. A detector that fails has a cell as well,
which says how.
"""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import time
import warnings
from collections.abc import Sequence

import numpy as np

from benchmarking.detectors import DETECTORS, Detector
from benchmarking.tables import Split, Table
from nae_tf.metrics import (
    area_under_roc,
    average_precision_of_outliers,
    detection_curve,
)
from nae_tf.runs.configuration import message_in_one_line
from nae_tf.runs.disk import write_atomically
from nae_tf.runs.progress import print_status, progress_bar
from reproduction import cells

# Threads of the last detector spin for a while before they sleep.
_SECONDS_BETWEEN = 0.5


@dataclasses.dataclass(frozen=True)
class DetectionCell:
    """A detector on a split of a table.

    Attributes:
        collection: name of the set of tables.
        table: the table.
        detector: name in `DETECTORS`.
        seed: seed of the split and of the detector.
    """

    collection: str
    table: Table
    detector: str
    seed: int

    def stored(self, timed: bool = False) -> pathlib.Path:
        """File of the results, or of seconds that were measured apart."""
        folder = "table_seconds" if timed else "tables"
        table = re.sub(r"[^\w-]+", "_", self.table.name)
        parts = (
            self.collection,
            self.detector,
            f"{table}-seed{self.seed}.json",
        )
        return cells.RESULTS.joinpath(folder, *parts)

    def results(self, timed: bool = False) -> dict | None:
        """Return what is stored, or None."""
        file = self.stored(timed)
        return json.loads(file.read_text()) if file.exists() else None

    def store(self, results: dict, timed: bool = False):
        """Write the file."""
        file = self.stored(timed)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(results, indent=2) + "\n")


def cells_of(
    collection: str,
    tables: Sequence[Table],
    detectors: Sequence[str],
    seeds: Sequence[int],
) -> list[DetectionCell]:
    """Return all cells; the detectors take turns on each split."""
    return [
        DetectionCell(collection, table, detector, seed)
        for seed in seeds
        for table in tables
        for detector in detectors
    ]


def run_missing(wanted: Sequence[DetectionCell]):
    """Compute and store the cells that are not stored, in the order given."""
    missing = [cell for cell in wanted if not cell.stored().exists()]
    origin = cells.current_origin(len(os.sched_getaffinity(0)))
    with progress_bar(len(missing), "cell") as bar:
        for cell in missing:
            # Another process may have stored it in the meantime.
            if not cell.stored().exists():
                results = run_cell(cell) | origin
                cell.store(results)
                if "failure" in results:
                    print_status(f"{cell.stored()}: {results['failure']}")
            bar.update()


def run_timed(wanted: Sequence[DetectionCell]):
    """Measure the seconds of all cells, and store them apart.

    A first fit of each detector, which is not measured, loads its libraries.
    """
    origin = cells.current_origin(len(os.sched_getaffinity(0)))
    noise = np.random.default_rng(0).normal(size=(50, 4))
    for detector in dict.fromkeys(cell.detector for cell in wanted):
        evaluate(DETECTORS[detector], Split(noise, noise, noise + 1), 0)
    with progress_bar(len(wanted), "cell") as bar:
        for cell in wanted:
            time.sleep(_SECONDS_BETWEEN)
            results = run_cell(cell)
            kept = {
                key: results[key]
                for key in ("fit_seconds", "score_seconds", "seconds")
            }
            cell.store(kept | origin, timed=True)
            bar.update()


def run_cell(cell: DetectionCell) -> dict:
    """Return the results of a cell; reading the table is not measured."""
    detector = DETECTORS[cell.detector]
    split = cell.table.split(cell.seed)
    return {
        "table": cell.table.name,
        "detector": cell.detector,
        "version": detector.version(),
        "seed": cell.seed,
        "num_train": len(split.train),
        "num_inliers": len(split.inliers),
        "num_outliers": len(split.outliers),
    } | evaluate(detector, split, cell.seed)


def evaluate(detector: Detector, split: Split, seed: int) -> dict:
    """Fit a detector and test it.

    Args:
        detector: the detector.
        split: rows to train on and to test.
        seed: seed of the detector.

    Returns:
        "auroc" and "average_precision" of the outliers, "fit_seconds",
        "score_seconds" and their sum "seconds", and "warnings", one line each,
        if there were any. A detector that fails has "failure", one line,
        instead of the first two.
    """
    results: dict = {"fit_seconds": 0.0, "score_seconds": 0.0}
    with _quiet() as caught:
        try:
            built = detector.build(seed, split.train.shape[1])
            with _measured(results, "fit_seconds"):
                built.fit(split.train)
            with _measured(results, "score_seconds"):
                scores = detector.outlier_scores(
                    built, np.concatenate([split.inliers, split.outliers])
                )
            curve = detection_curve(
                scores[: len(split.inliers)], scores[len(split.inliers) :]
            )
            results["auroc"] = float(area_under_roc(curve))
            results["average_precision"] = float(
                average_precision_of_outliers(curve)
            )
        # One detector that fails must not end the comparison.
        except Exception as error:
            results["failure"] = (
                f"{type(error).__name__}: {message_in_one_line(error)}"
            )
    results["seconds"] = results["fit_seconds"] + results["score_seconds"]
    if caught:
        results["warnings"] = sorted(
            {" ".join(str(warning.message).split()) for warning in caught}
        )
    return results


@contextlib.contextmanager
def _quiet():
    """Yield the list of warnings; print nothing, as some libraries would."""
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("default")
        yield caught


@contextlib.contextmanager
def _measured(results: dict, key: str):
    start = time.perf_counter()
    try:
        yield
    finally:
        results[key] = round(time.perf_counter() - start, 4)
