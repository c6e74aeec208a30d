"""Features whose differences float32 loses: times since 1970, Julian days.

It cannot be known whether they matter, so nothing is changed or refused.
"""

import warnings

import numpy as np

from nae_tf.base.feature_names import Names, more, named

# Float32 keeps a feature if its steps are at most this part of its spread.
_COARSE = 0.01
# Deviations of equal float64 from their mean, relative to it.
_ROUNDING = 1e-13
_REMEDY = (
    "subtract that number in all files, change the unit, or leave the column "
    "out by drop"
)


class Spread:
    """Means and deviations of features, from rows that come in parts.

    Attributes:
        count: number of rows.
        mean: means, float64 [features].
        squares: sums of squared deviations from the means.
        largest: largest magnitudes.
    """

    def __init__(self, num_features: int):
        self.count = 0
        self.mean = np.zeros(num_features)
        self.squares = np.zeros(num_features)
        self.largest = np.zeros(num_features)

    def add(self, index: int | slice, values: np.ndarray):
        """Add values of features; the rows are counted by `add_rows`.

        Args:
            index: position of one feature, or a slice of all.
            values: float64 [rows] or [rows, features], finite.
        """
        if not len(values):
            return
        rows = len(values)
        total = self.count + rows
        mean = values.mean(axis=0)
        change = mean - self.mean[index]
        self.squares[index] += ((values - mean) ** 2).sum(
            axis=0
        ) + change**2 * (self.count * rows / total)
        self.mean[index] += change * rows / total
        self.largest[index] = np.maximum(
            self.largest[index], np.abs(values).max(axis=0)
        )

    def add_rows(self, rows: int):
        """Count rows whose features have all been added."""
        self.count += rows

    def coarse(self) -> np.ndarray:
        """Return the positions of features whose differences float32 loses."""
        std = np.sqrt(self.squares / max(self.count, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            largest = self.largest.astype(np.float32)
            # TensorFlow takes what is below the normal range for zero.
            steps = np.maximum(
                np.spacing(largest), np.finfo(np.float32).tiny
            ).astype(float)
        is_constant = std <= _ROUNDING * self.largest
        return np.flatnonzero(~is_constant & (std * _COARSE < steps))


def spread_of(values: np.ndarray) -> Spread:
    """Return the spread of vectors [rows, features] as they are stored."""
    spread = Spread(values.shape[1])
    for start in range(0, len(values), 65_536):
        part = values[start : start + 65_536].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            spread.add(slice(None), part)
        spread.add_rows(len(part))
    return spread


def warn_of_lost_digits(
    title, spread: Spread, names: Names | None, remedy: str = _REMEDY
) -> bool:
    """Warn of features whose differences float32 cannot hold.

    Times in seconds since 1970 are an example: float32 tells 1,700,000,000
    from 1,700,000,128, but from no number between them.

    Args:
        title: name of the file, or of what takes the table.
        spread: spread of its features, before they become float32.
        names: names of the features, or None.
        remedy: what to do about them.

    Returns:
        Whether there were any.
    """
    found = spread.coarse()
    if not len(found):
        return False
    first = found[0]
    mean = spread.mean[first]
    std = np.sqrt(spread.squares[first] / spread.count)
    warnings.warn(
        f"{title}: the values of {named(first, names)}{more(found)} differ "
        f"from {mean:.10g} by {std:.3g} (standard deviation), which float32 "
        f"can hardly tell; {remedy}.",
        stacklevel=2,
    )
    return True
