"""Whether error maps find the defects that masks of test images mark."""

import dataclasses

import numpy as np
import tensorflow as tf

from nae_tf.data.examples import Examples
from nae_tf.data.ground_truth import Masks
from nae_tf.data.selection import positions_in_whole
from nae_tf.data.task import Task
from nae_tf.energy import error_map
from nae_tf.metrics.localization import (
    LocalizationCounts,
    aupro,
    localization_counts,
    pixel_auroc,
)

# Evenly spaced quantiles of all errors: a false-alarm rate in steps of 1e-4.
NUM_THRESHOLDS = 10_000
_BATCH_SIZE = 256


@dataclasses.dataclass(frozen=True)
class Localization:
    """How well error maps find the defects of some images.

    Attributes:
        num_images: number of images with a defect whose mask is known.
        num_regions: number of their regions.
        pixel_auroc: area under the ROC curve of pixels.
        aupro: area under the per-region-overlap curve up to a false-alarm rate
            of 0.3, divided by it.
    """

    num_images: int
    num_regions: int
    pixel_auroc: float
    aupro: float


def localize(
    model, task: Task, limit: int | None = None
) -> tuple[Localization | None, dict[str, Localization]]:
    """Compare error maps with masks, in the size of the masks.

    Maps of the size of the networks are enlarged bilinearly. Images of each set
    of outliers are compared together with the test inliers.

    Args:
        model: trained method with `encode` and `decode`.
        task: task with `ground_truth`, or without.
        limit: largest number of examples of each set; None means all.

    Returns:
        Of all sets together, and by name of a set; None and nothing where there
        are no masks, or the method does not reconstruct images.

    Raises:
        ValueError: if a mask is damaged, or of another size than its image.
    """
    truth = task.ground_truth
    reconstructs = hasattr(model, "encode") and hasattr(model, "decode")
    if truth is None or not reconstructs:
        return None, {}
    sets = [(task.test, truth.inliers)] + [
        (task.outliers[name], masks) for name, masks in truth.outliers.items()
    ]
    maps = [_error_maps(model, examples, limit) for examples, _ in sets]
    every = np.concatenate([errors.ravel() for errors in maps])
    levels = np.linspace(0, 1, min(NUM_THRESHOLDS, every.size))
    thresholds = np.unique(np.quantile(every, levels, method="nearest"))
    (inliers, _), *outliers = (
        _counts(errors, examples, masks, thresholds)
        for errors, (examples, masks) in zip(maps, sets, strict=True)
    )
    found = {
        name: _localization(inliers + counts, num_images)
        for name, (counts, num_images) in zip(
            truth.outliers, outliers, strict=True
        )
        if counts.num_regions
    }
    if not found:
        return None, {}
    together = sum((counts for counts, _ in outliers), inliers)
    return _localization(together, sum(n for _, n in outliers)), found


def _localization(counts: LocalizationCounts, num_images):
    return Localization(
        num_images, counts.num_regions, pixel_auroc(counts), aupro(counts)
    )


def _error_maps(model, examples: Examples, limit) -> np.ndarray:
    """Errors of pixels in the units of the energy, [number, height, width]."""
    maps = []
    for batch in examples.batches(_BATCH_SIZE, limit):
        x = model.as_examples(batch)
        maps.append(error_map(x, model.decode(model.encode(x))).numpy())
    return np.concatenate(maps)


def _counts(maps, examples: Examples, masks: Masks, thresholds):
    """Count pixels of the images of a set whose defects are known."""
    places = positions_in_whole(examples, np.arange(len(maps)))
    counts, num_images = localization_counts([], [], thresholds), 0
    # One by one: masks of large images would fill the memory.
    for errors, place in zip(maps, places, strict=True):
        mask = masks.read(int(place))
        if mask is not None:
            enlarged = _resized(errors, mask.shape)
            counts += localization_counts([enlarged], [mask], thresholds)
            num_images += 1
    return counts, num_images


def _resized(errors, shape):
    if errors.shape == shape:
        return errors
    return tf.image.resize(errors[..., None], shape).numpy()[..., 0]
