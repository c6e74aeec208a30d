"""scikit-learn's handwritten digits: a real task that needs no download."""

import functools

import gin
import numpy as np

from nae_tf.base.setting_checks import check_integer
from nae_tf.data import sources, synthetic, task


@gin.register(module="nae_tf")
def digits_holdout(held_out_class: int = 9, split_seed: int = 0) -> task.Task:
    """Hold out one class of scikit-learn's handwritten digits as outliers.

    The 1,797 images of 8x8x1 pixels and 17 grey levels (value / 16) come with
    scikit-learn. The n images of the nine other classes are split at random
    by `split_indices`: round(n / 10) for validation, round(n / 5) for the
    test, the rest for training. With class 9 held out these are 162, 323 and
    1,132 images; all 180 images of class 9 are outliers.

    Model selection may look at ConstantGray images, as in the paper, and at
    chimeras of validation digits: the upper half of one digit over the lower
    half of another. Almost every model tells ConstantGray from 8x8 digits, so
    it cannot rank good ones; chimeras can.

    Args:
        held_out_class: digit of the outliers, 0 ... 9.
        split_seed: seed of the random split, int >= 0.

    Raises:
        ValueError: if there is no such class.

    Example:
        >>> from nae_tf.data import digits_holdout
        >>> task = digits_holdout(held_out_class=9)
        >>> task.train.size, task.validation.size, task.test.size
        (1132, 162, 323)
        >>> task.outliers["digit 9"].size
        180
    """
    check_integer("digits_holdout", "held_out_class", held_out_class, 0, 9)
    images, labels = _images_and_labels()
    inliers = np.flatnonzero(labels != held_out_class)
    outliers = np.flatnonzero(labels == held_out_class)

    def digits(name, indices):
        read = functools.partial(np.take, images, indices, axis=0)
        return sources.ArrayExamples(name, len(indices), (8, 8, 1), 17, read)

    sizes = round(len(inliers) / 10), round(len(inliers) / 5)
    train, validation, test = task.split_indices(
        len(inliers), sizes, split_seed
    )
    outlier_name = f"digit {held_out_class}"
    return task.Task(
        name=f"digits without {held_out_class}",
        train=digits("digits, training", inliers[train]),
        validation=digits("digits, validation", inliers[validation]),
        test=digits("digits, test", inliers[test]),
        selection={
            "constant_gray": synthetic.constant_gray((8, 8, 1), "validation"),
            "chimera": _chimeras(inliers[validation], split_seed),
        },
        outliers={outlier_name: digits(outlier_name, outliers)},
    )


def _chimeras(indices, seed):
    """Ten chimeras for each digit, without the paper's blank rows."""
    indices = np.repeat(indices, 10)

    def read():
        images, labels = _images_and_labels()
        return synthetic.chimera_images(
            synthetic.stream("validation", seed),
            images[indices],
            labels[indices],
            num_blank_rows=0,
        )

    return sources.ArrayExamples("chimera", len(indices), (8, 8, 1), 17, read)


@functools.cache
def _images_and_labels():
    """Load all images, uint8 [1797, 8, 8, 1] in 0 ... 16, and labels."""
    from sklearn import datasets  # Slow to import.

    bundle = datasets.load_digits()
    return bundle.images.astype(np.uint8)[..., None], bundle.target
