"""Which detector is better, over tables (Demšar 2006).

Each table counts once: its figures are means over seeds. All arrays are
[tables, detectors], and high figures are good.
"""

import numpy as np
import scipy.stats


def ranks(figures) -> np.ndarray:
    """Return the rank of each detector on each table; the best has rank 1.

    Equal detectors share the mean of their ranks. One that failed (-inf) is
    last.

    Args:
        figures: float [tables, detectors].
    """
    return scipy.stats.rankdata(-np.asarray(figures), axis=1)


def wins(figures) -> np.ndarray:
    """Return on how many tables each detector is first, float [detectors].

    Detectors that are first together share the table.

    Args:
        figures: float [tables, detectors].
    """
    figures = np.asarray(figures)
    first = figures == figures.max(axis=1, keepdims=True)
    return np.sum(first / first.sum(axis=1, keepdims=True), axis=0)


def friedman_p_value(figures) -> float:
    """Return Friedman's p-value that all detectors rank alike.

    Args:
        figures: float [tables, detectors], three detectors at least.
    """
    return float(scipy.stats.friedmanchisquare(*ranks(figures).T).pvalue)


def critical_difference(num_tables: int, num_detectors: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 95 %.

    Two detectors whose mean ranks differ by less may be equal.

    Args:
        num_tables: number of tables, > 0.
        num_detectors: number of detectors, >= 2.
    """
    studentized = scipy.stats.studentized_range.ppf(
        0.95, num_detectors, np.inf
    ) / np.sqrt(2)
    variance = num_detectors * (num_detectors + 1) / (6 * num_tables)
    return float(studentized * np.sqrt(variance))
