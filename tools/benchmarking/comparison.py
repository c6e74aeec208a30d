"""The comparison of detectors, from stored cells, as Markdown."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarking.detection_cells import DetectionCell
from benchmarking.detectors import DETECTORS, OURS
from benchmarking.ranking import (
    critical_difference,
    friedman_p_value,
    ranks,
    wins,
)
from nae_tf.runs.progress import print_status
from reproduction.cells import mean_interval, provenance
from reproduction.markdown_tables import MISSING, print_table

# Results by table, detector and seed.
Results = Mapping[tuple[str, str, int], dict]


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Figures of the detectors whose cells are all stored.

    A detector that fails on a split is ranked last there, and its figures are
    those of chance: an AUROC of 0.5, and the share of outliers.

    Attributes:
        tables: names [tables].
        detectors: names [detectors], the best mean AUROC first.
        auroc: float [tables, detectors, seeds].
        average_precision: float [tables, detectors, seeds].
        failed: bool [tables, detectors, seeds].
        results: stored results that the figures are from.
        fit_seconds: float [tables, detectors, timed seeds].
        score_seconds: float [tables, detectors, timed seeds].
        timed: stored results that the seconds are from.
        timed_apart: whether the seconds were measured by themselves.
    """

    tables: Sequence[str]
    detectors: Sequence[str]
    auroc: np.ndarray
    average_precision: np.ndarray
    failed: np.ndarray
    results: Sequence[dict]
    fit_seconds: np.ndarray
    score_seconds: np.ndarray
    timed: Sequence[dict]
    timed_apart: bool

    @property
    def ranked(self) -> np.ndarray:
        """What is ranked: the AUROC, or -inf, [tables, detectors]."""
        return np.where(self.failed, -np.inf, self.auroc).mean(axis=2)

    @property
    def mean_ranks(self) -> np.ndarray:
        """Mean over tables of the rank of each detector, [detectors]."""
        return ranks(self.ranked).mean(axis=0)

    @property
    def critical_difference(self) -> float:
        """Nemenyi's critical difference of the mean ranks."""
        return critical_difference(len(self.tables), len(self.detectors))

    @property
    def total_seconds(self) -> np.ndarray:
        """Seconds to fit, and to score, all tables once, [2, detectors]."""
        both = np.stack([self.fit_seconds, self.score_seconds])
        return both.mean(axis=3).sum(axis=1)


def compare(cells: Sequence[DetectionCell]) -> Comparison | None:
    """Compare the detectors whose cells are all stored, and name the others.

    Args:
        cells: a cell of each detector for each table and seed.

    Returns:
        The comparison; None if no detector has all its cells.
    """
    stored, apart = _stored(cells), _stored(cells, timed=True)
    tables = list(dict.fromkeys(cell.table.name for cell in cells))
    seeds = list(dict.fromkeys(cell.seed for cell in cells))

    def grid(results: Results, value: Callable[[dict], float], seeds=seeds):
        return np.array(
            [
                [[value(results[t, d, s]) for s in seeds] for d in detectors]
                for t in tables
            ]
        )

    mean_auroc = {}
    for name in dict.fromkeys(cell.detector for cell in cells):
        found = [r for key, r in stored.items() if key[1] == name]
        if len(found) < len(tables) * len(seeds):
            print_status(
                f"{name}: {len(found)} of {len(tables) * len(seeds)} cells are "
                "stored; it is left out."
            )
        else:
            mean_auroc[name] = np.mean([_auroc(result) for result in found])
    if not mean_auroc:
        return None
    detectors = sorted(mean_auroc, key=lambda name: -mean_auroc[name])
    timed_seeds = [
        seed
        for seed in seeds
        if all((t, d, seed) in apart for t in tables for d in detectors)
    ]
    timed, timed_seeds, timed_apart = (
        (apart, timed_seeds, True) if timed_seeds else (stored, seeds, False)
    )
    return Comparison(
        tables,
        detectors,
        grid(stored, _auroc),
        grid(stored, _average_precision),
        grid(stored, lambda result: "failure" in result),
        [r for key, r in stored.items() if key[1] in detectors],
        grid(timed, lambda result: result["fit_seconds"], timed_seeds),
        grid(timed, lambda result: result["score_seconds"], timed_seeds),
        [
            r
            for key, r in timed.items()
            if key[1] in detectors and key[2] in timed_seeds
        ],
        timed_apart,
    )


def _stored(cells: Sequence[DetectionCell], timed: bool = False) -> Results:
    return {
        (cell.table.name, cell.detector, cell.seed): result
        for cell in cells
        if (result := cell.results(timed))
    }


def _auroc(result: dict) -> float:
    return result.get("auroc", 0.5)


def _average_precision(result: dict) -> float:
    num_tested = result["num_inliers"] + result["num_outliers"]
    return result.get("average_precision", result["num_outliers"] / num_tested)


def print_comparison(comparison: Comparison):
    """Print means, ranks, differences and seconds, then the tables."""
    print_table(
        [
            "detector",
            "AUROC",
            "average precision",
            "mean rank",
            "wins",
            "fit s",
            "score s",
            f"AUROC - {OURS}",
            f"average precision - {OURS}",
        ],
        _means(comparison),
    )
    print(f"\n{_explanation(comparison)}\n")
    print_table(["AUROC", *comparison.detectors], _by_table(comparison))
    scaled = [d for d in comparison.detectors if DETECTORS[d].scaled]
    if scaled:
        print(f"\nAfter a StandardScaler: {', '.join(scaled)}.", end="")
    print(f"\n{provenance(comparison.results)}")
    if comparison.timed_apart:
        print(f"Seconds, measured apart: {provenance(comparison.timed)}")


def _means(comparison: Comparison):
    """Rows of the detectors."""
    figures = (comparison.auroc, comparison.average_precision)
    by_table = [figure.mean(axis=2) for figure in figures]
    first = wins(comparison.ranked)
    for index, name in enumerate(comparison.detectors):
        row = [
            name,
            *(f"{figure[:, index].mean():.3f}" for figure in by_table),
            f"{comparison.mean_ranks[index]:.2f}",
            f"{first[index]:.3g}",
            *(f"{total:.1f}" for total in comparison.total_seconds[:, index]),
        ]
        for figure in by_table:
            if OURS not in comparison.detectors or name == OURS:
                row.append(MISSING)
                continue
            ours = figure[:, comparison.detectors.index(OURS)]
            mean, half_width = mean_interval(figure[:, index] - ours)
            row.append(f"{mean:+.3f} ± {half_width:.3f}")
        yield row


def _by_table(comparison: Comparison):
    """Rows of the tables."""
    for name, aurocs, failed in zip(
        comparison.tables, comparison.auroc, comparison.failed, strict=True
    ):
        yield [
            name,
            *(
                "failed" if fails.all() else f"{a.mean():.3f} ± {a.std():.3f}"
                for a, fails in zip(aurocs, failed, strict=True)
            ),
        ]


def _explanation(comparison: Comparison) -> str:
    num_tables, num_detectors, num_seeds = comparison.auroc.shape
    sentences = [
        f"{num_tables} tables, {num_seeds} seeds; a table counts by its mean "
        "over seeds. Differences have 95 % t-intervals over tables. Detectors "
        "that are first together share a win. Seconds are those of all tables "
        "once."
    ]
    if num_detectors >= 3 and num_tables >= 2:
        sentences.append(
            "Mean ranks that differ by less than "
            f"{comparison.critical_difference:.2f} may be equal (Nemenyi, "
            f"95 %); Friedman's p is {friedman_p_value(comparison.ranked):.2g}."
        )
    failures = int(comparison.failed.sum())
    if failures:
        sentences.append(
            f"{failures} cells are failures, which rank last and count as "
            "chance."
        )
    return " ".join(sentences)
