"""How well error maps find the defects that masks mark.

A threshold t flags every pixel whose error is >= t. `LocalizationCounts` counts
what every threshold flags, image by image, so that counts of images and of sets
add up. Metrics are functions of the counts. Regions are the connected parts of
a mask, where pixels that share a corner are connected.

Bergmann, Batzner, Fauser, Sattlegger & Steger, The MVTec Anomaly Detection
Dataset, International Journal of Computer Vision 129 (2021),
https://doi.org/10.1007/s11263-020-01400-4.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import scipy.integrate
import scipy.ndimage

from nae_tf.base.setting_checks import check_number

# Pixels that share an edge or a corner, as in the evaluation of MVTec AD.
_NEIGHBOURS = np.ones((3, 3), int)


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizationCounts:
    """Flagged pixels at every threshold, from the highest down.

    Element 0 stands for a threshold above all errors, the last one for none.

    Attributes:
        false_alarms: int [thresholds], pixels outside of the masks.
        detected: int [thresholds], pixels within the masks.
        overlap: float [thresholds], flagged shares of the regions, summed over
            the regions.
        num_regions: number of regions.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import localization_counts
        >>> mask = np.array([[True, False, False, True]])
        >>> errors = np.array([[0.9, 0.1, 0.5, 0.2]])
        >>> counts = localization_counts([errors], [mask])
        >>> counts.num_regions, counts.detected.tolist()
        (2, [0, 1, 1, 2, 2, 2])
    """

    false_alarms: np.ndarray
    detected: np.ndarray
    overlap: np.ndarray
    num_regions: int

    def __add__(self, other: "LocalizationCounts") -> "LocalizationCounts":
        """Counts of the images of both, at the same thresholds."""
        return LocalizationCounts(
            self.false_alarms + other.false_alarms,
            self.detected + other.detected,
            self.overlap + other.overlap,
            self.num_regions + other.num_regions,
        )


def localization_counts(
    error_maps: Iterable[np.ndarray],
    masks: Iterable[np.ndarray],
    thresholds=None,
) -> LocalizationCounts:
    """Count flagged pixels of images.

    Args:
        error_maps: float [height, width] for every image; not NaN.
        masks: bool [height, width] for every image, its defects.
        thresholds: float [number], ascending; images are then taken one by
            one, and need not be in memory together. None means every error.

    Raises:
        ValueError: if numbers or shapes of maps and masks differ, or an error
            is NaN.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import localization_counts, pixel_auroc
        >>> mask = np.eye(8, dtype=bool)
        >>> pixel_auroc(localization_counts([mask * 1.0], [mask]))
        1.0
    """
    if thresholds is None:
        error_maps = [np.asarray(errors) for errors in error_maps]
        values = [errors.ravel() for errors in error_maps]
        thresholds = np.unique(np.concatenate([*values, np.zeros(0)]))
    thresholds = np.asarray(thresholds)
    empty = np.zeros(len(thresholds) + 2, int)
    counts = LocalizationCounts(empty, empty, empty.astype(float), 0)
    for errors, mask in zip(error_maps, masks, strict=True):
        counts += _of_one(np.asarray(errors), np.asarray(mask), thresholds)
    return counts


def _of_one(errors, mask, thresholds):
    if errors.ndim != 2 or errors.shape != mask.shape or mask.dtype != bool:
        raise ValueError(
            "localization_counts: expected maps and masks of one shape "
            f"[height, width], masks of type bool, received {errors.shape} and "
            f"{mask.shape} of type {mask.dtype}; resize the maps."
        )
    if np.isnan(errors).any():
        raise ValueError(
            "localization_counts: an error map has NaN; the model has diverged."
        )
    size = len(thresholds) + 1
    ranks = np.searchsorted(thresholds, errors, side="right")
    labels, num_regions = scipy.ndimage.label(mask, _NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=num_regions + 1)
    found = ranks[mask]
    share = 1.0 / sizes[labels[mask]]
    return LocalizationCounts(
        _from_above(np.bincount(ranks[~mask], minlength=size)),
        _from_above(np.bincount(found, minlength=size)),
        _from_above(np.bincount(found, share, minlength=size)),
        num_regions,
    )


def _from_above(counts):
    return np.cumsum([0, *counts[::-1]], dtype=counts.dtype)


def pixel_auroc(counts: LocalizationCounts) -> float:
    """Area under the ROC curve of pixels.

    It is the probability that a pixel of a defect has a larger error than one
    outside, ties counted half.

    Args:
        counts: counts of images with defects and with pixels outside.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if there is no pixel of one of both kinds.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import localization_counts, pixel_auroc
        >>> mask = np.array([[True, True, False, False]])
        >>> errors = np.array([[0.9, 0.2, 0.5, 0.2]])
        >>> pixel_auroc(localization_counts([errors], [mask]))
        0.625
    """
    false_alarm_rate, detection_rate = _rates(counts, counts.detected)
    return float(scipy.integrate.trapezoid(detection_rate, false_alarm_rate))


def aupro(counts: LocalizationCounts, max_false_alarm_rate: float = 0.3):
    """Area under the per-region-overlap curve (AUPRO; Bergmann et al. 2021).

    The curve has the flagged share of a region, averaged over regions, over the
    false-alarm rate of pixels. It is linear between thresholds, integrated up
    to `max_false_alarm_rate`, and divided by it. A map that says nothing
    reaches `max_false_alarm_rate / 2`.

    Args:
        counts: counts of images with defects and with pixels outside.
        max_false_alarm_rate: end of the integral, in (0, 1].

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if there is no pixel of one of both kinds, or the end is out
            of range.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import aupro, localization_counts
        >>> mask = np.eye(8, dtype=bool)
        >>> round(aupro(localization_counts([np.zeros((8, 8))], [mask])), 6)
        0.15
    """
    limit = max_false_alarm_rate
    check_number("aupro", "max_false_alarm_rate", limit, "(0, 1]")
    false_alarm_rate, overlap = _rates(counts, counts.overlap)
    within = false_alarm_rate <= limit
    end = np.interp(limit, false_alarm_rate, overlap)
    x = np.append(false_alarm_rate[within], limit)
    y = np.append(overlap[within], end)
    return float(scipy.integrate.trapezoid(y, x)) / limit


def _rates(counts, of_defects):
    if counts.false_alarms[-1] == 0 or counts.num_regions == 0:
        raise ValueError(
            "metrics: expected pixels of defects and pixels outside, received "
            f"{counts.detected[-1]} and {counts.false_alarms[-1]}."
        )
    return (
        counts.false_alarms / counts.false_alarms[-1],
        of_defects / of_defects[-1],
    )
