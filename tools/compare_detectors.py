"""Compare NAEDetector with other detectors on tables with labelled outliers.

    python tools/compare_detectors.py
    python tools/compare_detectors.py --tables=FOLDER

Trains every detector with its defaults on inliers alone, and prints its AUROC
and average precision of other inliers against outliers, its ranks and its
seconds. Without --tables the tables are five of scikit-learn's. Results are
stored in tools/results/tables, one file per table, detector and seed. What is
stored is not computed again; remove a file to do so.
"""

import argparse
import importlib.util
import pathlib
import sys
from collections.abc import Sequence

if "tensorflow" not in sys.modules and importlib.util.find_spec("triton"):
    # PyTorch imports it when it trains. Its LLVM and TensorFlow's bear each
    # other in one process only if it comes first.
    import triton  # noqa: F401

from benchmarking.comparison import compare, print_comparison
from benchmarking.detection_cells import cells_of, run_missing, run_timed
from benchmarking.detectors import DETECTORS
from benchmarking.ranking_figure import ranking_figure
from benchmarking.tables import tables_of_folder, tables_of_scikit_learn
from nae_tf.runs.disk import write_figure
from nae_tf.runs.progress import print_status


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tables",
        type=pathlib.Path,
        metavar="FOLDER",
        help="Folder of files NAME.npz with X, [rows, features], and y, [rows],"
        " 1 for outliers. Half of the inliers, at most 2,000, train.",
    )
    parser.add_argument(
        "--seeds",
        type=lambda text: [int(seed) for seed in text.split(",")],
        default=[0, 1, 2],
        metavar="0,1,2",
        help="Seeds of the splits and of the detectors.",
    )
    parser.add_argument(
        "--detectors",
        type=lambda text: text.split(","),
        default=list(DETECTORS),
        metavar="A,B",
        help=f"Some of {', '.join(DETECTORS)}.",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--show", action="store_true", help="Print what is stored; train none."
    )
    action.add_argument(
        "--time",
        action="store_true",
        help="Measure seconds alone, again if they are stored, for --show to "
        "print; best on an idle machine.",
    )
    parser.add_argument(
        "--figure",
        type=pathlib.Path,
        metavar="PATH",
        help="File of a picture, PNG: ranks, and AUROC against seconds.",
    )
    parsed = parser.parse_args(arguments)
    if unknown := sorted(set(parsed.detectors) - set(DETECTORS)):
        parser.error(
            f"--detectors: expected some of {', '.join(DETECTORS)}; received "
            f"{', '.join(unknown)}."
        )
    try:
        parsed.chosen = (
            tables_of_folder(parsed.tables)
            if parsed.tables
            else tables_of_scikit_learn()
        )
        for table in parsed.chosen:
            table.rows()  # Better now than after hours.
    except ValueError as error:
        parser.error(str(error))
    return parsed


def main(arguments: Sequence[str] | None = None):
    """Compute what is missing, then print the comparison.

    Args:
        arguments: arguments of the command line; None means those of the
            process.
    """
    parsed = _arguments(arguments)
    collection = parsed.tables.resolve().name if parsed.tables else "sklearn"
    cells = cells_of(collection, parsed.chosen, parsed.detectors, parsed.seeds)
    if not parsed.show:
        for name in parsed.detectors:
            if not DETECTORS[name].installed():
                print_status(
                    f"{name}: needs the package {DETECTORS[name].package}, "
                    "which is not installed; it is skipped."
                )
        wanted = [c for c in cells if DETECTORS[c.detector].installed()]
        (run_timed if parsed.time else run_missing)(wanted)
    comparison = compare(cells)
    if comparison is None:
        return
    print_comparison(comparison)
    if parsed.figure:
        write_figure(parsed.figure, ranking_figure(comparison))


if __name__ == "__main__":
    main()
