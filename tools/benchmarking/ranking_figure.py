"""The picture of the comparison: ranks, and AUROC against seconds."""

import numpy as np

from benchmarking.comparison import Comparison
from benchmarking.detectors import OURS
from reproduction.plots.images import INLIER, OUTLIER

# Names of the results' page, where they are not the detectors' own.
_WORDS = {
    "FifthNeighbour": "fifth neighbour",
    "NAEDetector-autoencoder": "NAEDetector, no NAE phase",
    "PCA-reconstruction": "PCA error",
}


def ranking_figure(comparison: Comparison):
    """Draw mean ranks with their critical difference, and AUROC over seconds.

    Args:
        comparison: comparison of two detectors at least.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    height = 1.2 + 0.3 * len(comparison.detectors)
    figure = Figure(figsize=(11.0, height), layout="constrained")
    ranks_axes, seconds_axes = figure.subplots(1, 2)
    _draw_ranks(ranks_axes, comparison)
    _draw_seconds(seconds_axes, comparison)
    return figure


def _color(detector: str) -> str:
    return OUTLIER if detector.startswith(OURS) else INLIER


def _label(detector: str) -> str:
    return _WORDS.get(detector, detector.replace("-", " "))


def _draw_ranks(axes, comparison: Comparison):
    """Bars of detectors that may rank alike overlap."""
    mean_ranks = comparison.mean_ranks
    order = np.argsort(mean_ranks, kind="stable")
    names = [comparison.detectors[index] for index in order]
    for place, (name, rank) in enumerate(
        zip(names, mean_ranks[order], strict=True)
    ):
        axes.errorbar(
            rank,
            place,
            xerr=comparison.critical_difference / 2,
            fmt="o",
            color=_color(name),
            capsize=3,
        )
    axes.set(
        yticks=range(len(names)),
        yticklabels=[_label(name) for name in names],
        xlabel="mean rank ± half of the critical difference",
        title="Detectors differ if their bars do not overlap",
    )
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)


def _draw_seconds(axes, comparison: Comparison):
    from matplotlib.ticker import LogLocator

    seconds = comparison.total_seconds.sum(axis=0)
    aurocs = comparison.auroc.mean(axis=(0, 2))
    for name, x, y in zip(comparison.detectors, seconds, aurocs, strict=True):
        axes.scatter(x, y, color=_color(name))
        axes.annotate(
            _label(name),
            (x, y),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set(
        xscale="log",
        xlabel="seconds to fit and score all tables once",
        ylabel="mean AUROC",
        title="Accuracy against time",
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    # Room for the names, which stand right of their points.
    axes.margins(x=0.1, y=0.1)
    axes.set_xlim(right=5 * axes.get_xlim()[1])
    axes.grid(alpha=0.3)
