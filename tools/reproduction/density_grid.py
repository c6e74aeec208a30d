"""A density of the plane on a grid: its normalisation and its distances.

A two-dimensional model can be checked against the truth, because there the
constant that makes exp(-E / T) a density is a sum over a grid (Figures 3, 5).
"""

import dataclasses
import math

import numpy as np
import scipy.special


@dataclasses.dataclass(frozen=True)
class Grid:
    """Equal square cells over a square.

    Densities on it are float arrays [num_cells, num_cells], rows along the
    second coordinate, from low to high.

    Attributes:
        low: lower bound of both coordinates.
        high: upper bound of both coordinates.
        num_cells: number of cells per side, > 0.
    """

    low: float
    high: float
    num_cells: int = 200

    @property
    def cell_area(self) -> float:
        """Area of a cell."""
        return ((self.high - self.low) / self.num_cells) ** 2

    def points(self) -> np.ndarray:
        """Return the midpoints of the cells, float32 [num_cells**2, 2]."""
        steps = (np.arange(self.num_cells) + 0.5) / self.num_cells
        ticks = self.low + (self.high - self.low) * steps
        first, second = np.meshgrid(ticks, ticks)
        points = np.stack([first.ravel(), second.ravel()], axis=-1)
        return points.astype(np.float32)

    def normalize(self, log_density: np.ndarray) -> tuple[np.ndarray, float]:
        """Make a density of its logarithm up to a constant.

            Omega = sum over cells of exp(log_density) * cell_area

        Args:
            log_density: float [num_cells**2], at `points`; -inf is zero.

        Returns:
            density: float [num_cells, num_cells]; its integral is 1.
            log_normalizer: log Omega.

        Raises:
            ValueError: if a value is NaN or +inf, or no cell has a density.
        """
        log_density = np.asarray(log_density, np.float64)
        if np.isnan(log_density).any() or np.isposinf(log_density).any():
            raise ValueError("the log-density holds NaN or infinity.")
        log_normalizer = scipy.special.logsumexp(log_density) + math.log(
            self.cell_area
        )
        if np.isneginf(log_normalizer):
            raise ValueError("the density is zero in every cell of the grid.")
        density = np.exp(log_density - log_normalizer)
        shape = (self.num_cells, self.num_cells)
        return density.reshape(shape), float(log_normalizer)

    def total_variation(self, p: np.ndarray, q: np.ndarray) -> float:
        """Total-variation distance of two densities, in [0, 1].

        It is the integral of `|p - q| / 2`.
        """
        return float(np.abs(p - q).sum() * self.cell_area / 2.0)

    def kl_divergence(self, p: np.ndarray, log_q: np.ndarray) -> float:
        """Kullback-Leibler divergence KL(p | q), in nats.

            integral p log(p / q)

        Args:
            p: float [num_cells, num_cells], a density.
            log_q: float [num_cells**2], logarithm of a density up to a
                constant, at `points`: far from its modes a density itself is
                too small for a float.

        Returns:
            Infinite if q is zero somewhere where p is not.
        """
        _, log_normalizer = self.normalize(log_q)
        p, log_q = p.ravel(), np.asarray(log_q, np.float64)
        inside = p > 0
        log_ratio = np.log(p[inside]) + log_normalizer - log_q[inside]
        return float((p[inside] * log_ratio).sum() * self.cell_area)
