"""Whether a training went well, told without outliers.

Figures of a trained NAE and its autoencoder go in, and what is wrong comes out,
each with what to do. The log (docs/log.md) tells by which runs the limits were
chosen.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from sklearn import neighbors

from nae_tf.base.number_arrays import as_numbers

# Loss of AUROC against made outliers that is no chance of the outliers, nor of
# few inliers: a loss within two standard errors (95 %) may be none.
_LARGEST_LOSS = 0.03
_STANDARD_ERRORS = 2.0
# Fall of the validation error in the last fifth of a pre-training.
_LARGEST_FALL = 0.25
# Share of the variance of data that a reconstruction may leave.
_LARGEST_UNEXPLAINED = 0.7
# Validation error over training error, where the former is no small share of
# the variance: a small one may well be many times a smaller one.
_LARGEST_OVERFITTING = 20.0
_SMALL_UNEXPLAINED = 0.3
# Standard deviations of the energies of data.
_LARGEST_GAP = 2.0
# Distance of samples to data, and between samples, over that between data.
_LARGEST_DISTANCE = 1.5
_SMALLEST_DIVERSITY = 0.4
# Examples of fewer values are densities, whose latents on a sphere need one
# coordinate more than the examples.
_SMALLEST_VECTOR = 4


def energy_gap_in_spreads(data_energies, sample_energies) -> float:
    """Mean energy of samples less that of data, in units of the data's spread.

        (mean E(x') - mean E(x)) / std E(x)

    Near 0 the model finds its own samples as likely as data, which is what the
    training aims at (Eq. 12).

    Args:
        data_energies: float [num_data], at least two that differ.
        sample_energies: float [num_samples].

    Returns:
        float; infinite where all data have one energy.

    Example:
        >>> from nae_tf.metrics import energy_gap_in_spreads
        >>> energy_gap_in_spreads([1.0, 3.0], [4.0, 6.0])
        3.0
    """
    data, samples = (
        as_numbers("metrics", "energies", energies, rank=1)
        for energies in (data_energies, sample_energies)
    )
    gap = float(samples.mean() - data.mean())
    spread = float(data.std())
    if spread == 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / spread


def distance_in_spacings(samples, data) -> float:
    """Distance of samples to the nearest data, in units of the data's spacing.

        median_i min_j |s_i - x_j| / median_i min_{j != i} |x_i - x_j|

    It is near 1 for samples that lie among the data, and 0 for copies.

    Args:
        samples: float [num_samples, ...].
        data: float [num_data, ...], at least two that differ.

    Returns:
        float >= 0; infinite where the data's median spacing is 0.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import distance_in_spacings
        >>> data = np.array([[0.0], [1.0], [2.0]])
        >>> distance_in_spacings(data + 10.0, data)
        9.0
    """
    return _ratio(
        np.median(_nearest(samples, data)),
        np.median(_nearest(data, data, others=True)),
    )


def diversity(samples, data) -> float:
    """Distance between neighbouring samples over that between data.

    Both are means over equally many examples, because neighbours are closer
    where there are more. It is near 1 for samples as diverse as the data, and 0
    for samples that all are one.

    Args:
        samples: float [num_samples, ...], at least two.
        data: float [num_data, ...], at least two that differ.

    Returns:
        float >= 0.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import diversity
        >>> data = np.array([[0.0], [1.0], [2.0]])
        >>> diversity(0.5 * data, data)
        0.5
    """
    count = min(len(samples), len(data))
    samples, data = samples[:count], data[:count]
    return _ratio(
        np.mean(_nearest(samples, samples, others=True)),
        np.mean(_nearest(data, data, others=True)),
    )


def fall_at_the_end(errors: Sequence[float], share: float = 0.2) -> float:
    """Fall of an error over the last part of a training, relative to before.

        1 - last part's mean / mean of an equally long part before it

    Args:
        errors: float [num_epochs], positive.
        share: length of the part, a share of the epochs in (0, 0.5].

    Returns:
        float < 1, negative where the error rose; 0 for less than two epochs.

    Example:
        >>> from nae_tf.metrics import fall_at_the_end
        >>> fall_at_the_end([8.0, 4.0, 2.0, 1.0, 0.5])
        0.5
    """
    length = max(round(share * len(errors)), 1)
    if len(errors) < 2 * length:
        return 0.0
    before = float(np.mean(errors[-2 * length : -length]))
    return 1.0 - float(np.mean(errors[-length:])) / before if before else 0.0


@dataclasses.dataclass(frozen=True)
class TrainingDiagnostics:
    """Figures of a training that need no outliers; None where there is none.

    Attributes:
        auroc: mean AUROC of validation inliers against outliers made of them.
        autoencoder_auroc: the same of the autoencoder before NAE's training.
        auroc_error: standard error of the difference of both.
        pretraining_errors: validation error of the autoencoder by epoch.
        pretraining_unexplained: error that the autoencoder leaves of validation
            inliers, as a share of their variance.
        unexplained: the same of NAE.
        overfitting: validation error over training error of the autoencoder.
        sample_gap: `energy_gap_in_spreads` of samples and validation inliers.
        sample_distance: `distance_in_spacings` of them.
        sample_diversity: `diversity` of them.
        latent_dim: number of latents.
        num_values: number of values of an example.

    Example:
        >>> from nae_tf.metrics import TrainingDiagnostics
        >>> TrainingDiagnostics(auroc=0.9, autoencoder_auroc=0.8).failures()
        []
        >>> TrainingDiagnostics(latent_dim=30, num_values=30).failures()[0][:37]
        'there are as many latents as values o'
    """

    auroc: float | None = None
    autoencoder_auroc: float | None = None
    pretraining_errors: Sequence[float] = ()
    pretraining_unexplained: float | None = None
    unexplained: float | None = None
    overfitting: float | None = None
    sample_gap: float | None = None
    sample_distance: float | None = None
    sample_diversity: float | None = None
    latent_dim: int | None = None
    num_values: int | None = None
    auroc_error: float | None = None

    def failures(self) -> list[str]:
        """Say what is wrong, a line each, with what to do."""
        if not_finite := self._not_finite():
            return [not_finite]
        checks = (
            self._copies(),
            self._unfinished_pretraining(),
            self._no_better(),
            self._collapsed(),
            self._stuck_samples(),
        )
        found = [line for line in checks if line is not None]
        # Small tables are known by heart and well detected all the same, so
        # that it explains a failure and is none.
        cause = self._learned_by_heart()
        return [*found, cause] if found and cause is not None else found

    def _not_finite(self):
        if all(
            value is None or math.isfinite(value)
            for value in (self.auroc, self.unexplained, self.sample_gap)
        ):
            return None
        return (
            "energies are NaN or infinite; train again with a tenth of the "
            "learning rate"
        )

    def _copies(self):
        latents, values = self.latent_dim, self.num_values
        if latents is None or values is None:
            return None
        if values < _SMALLEST_VECTOR or latents < values:
            return None
        return (
            "there are as many latents as values of an example or more "
            f"({latents:,} and {values:,}), so that an autoencoder can copy "
            "all it sees; take half as many latents or fewer"
        )

    def _unfinished_pretraining(self):
        left = self.pretraining_unexplained
        if left is not None and left > _LARGEST_UNEXPLAINED:
            return (
                "pre-training has learned little: it leaves "
                f"{left:.0%} of the variance of the data; give it more steps, "
                "more latents, or another learning rate"
            )
        fall = fall_at_the_end(self.pretraining_errors)
        if fall > _LARGEST_FALL:
            return (
                "pre-training has not converged: its validation error still "
                f"fell by {fall:.0%} over the last fifth of its epochs; give "
                "it twice the steps"
            )
        return None

    def _learned_by_heart(self):
        ratio, left = self.overfitting, self.pretraining_unexplained
        if ratio is None or not ratio > _LARGEST_OVERFITTING:
            return None
        if left is not None and left < _SMALL_UNEXPLAINED:
            return None
        times = f"{ratio:.0f}" if ratio < 1_000 else "over 1,000"
        return (
            "the autoencoder knows its training examples by heart: the "
            f"validation error is {times} times theirs; give more "
            "examples, fewer latents, or fewer steps of pre-training"
        )

    def _no_better(self):
        before, after = self.autoencoder_auroc, self.auroc
        if before is None or after is None:
            return None
        chance = _STANDARD_ERRORS * (self.auroc_error or 0.0)
        if not after < before - max(_LARGEST_LOSS, chance):
            return None
        return (
            "it does not look better than its autoencoder: AUROC of validation "
            f"inliers against outliers made of them {after:.3f}, before "
            f"{before:.3f}; take a smaller learning rate, or keep the best "
            "epoch by SelectionAuroc"
        )

    def _collapsed(self):
        left = self.unexplained
        if left is None or not left > _LARGEST_UNEXPLAINED:
            return None
        return (
            "NAE no longer reconstructs the data: it leaves "
            f"{left:.0%} of their variance; train again with a tenth of the "
            "learning rate"
        )

    def _stuck_samples(self):
        signs = []
        gap, distance = self.sample_gap, self.sample_distance
        if gap is not None and abs(gap) > _LARGEST_GAP:
            signs.append(
                f"their mean energy is {gap:+.1f} standard deviations from "
                "that of the data"
            )
        if distance is not None and distance > _LARGEST_DISTANCE:
            signs.append(
                f"they are {distance:.1f} times as far from data as data are"
            )
        value = self.sample_diversity
        if value is not None and value < _SMALLEST_DIVERSITY:
            signs.append(f"they are {value:.2f} times as diverse as the data")
        if not signs:
            return None
        return (
            f"samples are stuck away from the data: {', '.join(signs)}; take a "
            "smaller learning rate, or longer chains"
        )


def _ratio(value, unit) -> float:
    if unit == 0:
        return 0.0 if value == 0 else math.inf
    return float(value / unit)


def _nearest(points, others_of, others: bool = False) -> np.ndarray:
    """Return the distance of every point to the nearest of a set.

    Args:
        points: float [number, ...].
        others_of: float [num_others, ...], the set.
        others: whether the set is the points, and a point itself is none.
    """
    a, b = (
        np.reshape(as_numbers("metrics", "samples and data", x), [len(x), -1])
        for x in (points, others_of)
    )
    tree = neighbors.NearestNeighbors(n_neighbors=1).fit(b)
    distances, _ = tree.kneighbors(None if others else a)
    return distances[:, 0]
