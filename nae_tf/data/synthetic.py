"""Synthetic outlier images of the paper's appendix D.1 (Table 9).

Values are integers 0 ... 255, to be divided by 255. Images are made from a
seed when first used. Validation and test images come from different streams
of random numbers.
"""

import gin
import numpy as np

from nae_tf.base.setting_checks import (
    check_choice,
    check_integer,
    check_sizes,
)
from nae_tf.data import examples, sources

NUM_EXAMPLES = 4_000  # In validation and in test, Table 9.

_STREAMS = {"validation": 0, "test": 1}


def constant_images(
    rng: np.random.Generator, num_images: int, image_shape: tuple[int, ...]
) -> np.ndarray:
    """Images of one colour each, drawn uniformly from all colours.

    Args:
        rng: source of the colours.
        num_images: number of images.
        image_shape: [height, width, channels].

    Returns:
        uint8 [num_images, height, width, channels].
    """
    colors = rng.integers(
        0, 256, (num_images, 1, 1, image_shape[-1]), dtype=np.uint8
    )
    return np.broadcast_to(colors, (num_images, *image_shape)).copy()


def constant_gray_images(
    rng: np.random.Generator, num_images: int, image_shape: tuple[int, ...]
) -> np.ndarray:
    """Images whose pixels all have one grey value, drawn uniformly.

    Arguments and result are those of `constant_images`.
    """
    levels = rng.integers(0, 256, (num_images, 1, 1, 1), dtype=np.uint8)
    return np.broadcast_to(levels, (num_images, *image_shape)).copy()


def noise_images(
    rng: np.random.Generator, num_images: int, image_shape: tuple[int, ...]
) -> np.ndarray:
    """Images whose every value is drawn uniformly.

    Arguments and result are those of `constant_images`.
    """
    return rng.integers(0, 256, (num_images, *image_shape), dtype=np.uint8)


def half_images(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Replace the upper or the lower half of every image by zeros.

    The half is chosen at random, as the paper says (the authors' code takes
    the halves in turn).

    Args:
        rng: source of the choices.
        images: uint8 [batch, height, width, channels].

    Returns:
        uint8, same shape.
    """
    half = images.shape[1] // 2
    upper = rng.random(len(images)) < 0.5
    halves = images.copy()
    halves[upper, :half] = 0
    halves[~upper, half:] = 0
    return halves


def chimera_images(
    rng: np.random.Generator,
    images: np.ndarray,
    labels: np.ndarray,
    num_blank_rows: int = 6,
) -> np.ndarray:
    """Join upper and lower halves of images of two different classes.

    Image i has the upper half of image i and the lower half of an image drawn
    at random among all images of other classes; the middle rows are zero.

    Args:
        rng: source of the partners.
        images: uint8 [batch, height, width, channels].
        labels: int [batch], at least two classes.
        num_blank_rows: even number of rows to blank in the middle.

    Returns:
        uint8, same shape.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(
            "chimera_images: expected images of at least two classes, received "
            f"the classes {np.unique(labels).tolist()}."
        )
    partners = rng.integers(len(images), size=len(images))
    while (same := labels[partners] == labels).any():
        partners[same] = rng.integers(len(images), size=np.sum(same))
    middle = images.shape[1] // 2
    chimeras = images.copy()
    chimeras[:, middle:] = images[partners, middle:]
    # Differs from the paper: it "adds" six rows, which would make 34 rows,
    # but its images have 28. The authors' code overwrites rows 11 ... 16.
    margin = num_blank_rows // 2
    chimeras[:, middle - margin : middle + margin] = 0
    return chimeras


@gin.register(module="nae_tf")
def constant(
    image_shape: tuple[int, ...], split: str = "test", seed: int = 0
) -> examples.Examples:
    """Constant: 4,000 images of one colour each.

    Args:
        image_shape: [height, width, channels].
        split: "validation" or "test".
        seed: seed of the colours, int >= 0.

    Raises:
        ValueError: if there is no such split.

    Example:
        >>> from nae_tf.data import constant
        >>> examples = constant((32, 32, 3))
        >>> examples.size, examples.shape
        (4000, (32, 32, 3))
    """
    return _examples("Constant", constant_images, image_shape, split, seed)


@gin.register(module="nae_tf")
def constant_gray(
    image_shape: tuple[int, ...], split: str = "test", seed: int = 0
) -> examples.Examples:
    """ConstantGray: 4,000 images of one grey value each.

    Args:
        image_shape: [height, width, channels].
        split: "validation" or "test".
        seed: seed of the grey values, int >= 0.

    Raises:
        ValueError: if there is no such split.

    Example:
        >>> from nae_tf.data import constant_gray
        >>> [images] = constant_gray((8, 8, 1)).batches(1, limit=1)
        >>> image = images.numpy()[0]
        >>> image.shape, bool((image == image[0, 0, 0]).all())
        ((8, 8, 1), True)
    """
    return _examples(
        "ConstantGray", constant_gray_images, image_shape, split, seed
    )


@gin.register(module="nae_tf")
def noise(
    image_shape: tuple[int, ...], split: str = "test", seed: int = 0
) -> examples.Examples:
    """Noise: 4,000 images of independent, uniform values.

    Args:
        image_shape: [height, width, channels].
        split: "validation" or "test".
        seed: seed of the values, int >= 0.

    Raises:
        ValueError: if there is no such split.

    Example:
        >>> from nae_tf.data import noise
        >>> next(iter(noise((8, 8, 1)).batches(batch_size=16))).shape
        TensorShape([16, 8, 8, 1])
    """
    return _examples("Noise", noise_images, image_shape, split, seed)


def stream(split: str, seed: int) -> np.random.Generator:
    """Random numbers of one split of one synthetic data set."""
    check_choice("synthetic images", "split", split, _STREAMS)
    return np.random.default_rng([seed, _STREAMS[split]])


def _examples(name, make_images, image_shape, split, seed):
    shape = check_sizes(name, "image_shape", image_shape)
    if len(shape) != 3:
        raise ValueError(
            f"{name}: expected image_shape (height, width, channels), received "
            f"{shape}."
        )
    check_integer(name, "seed", seed, 0)
    stream(split, seed)  # Fails now rather than when the images are used.

    def read():
        return make_images(stream(split, seed), NUM_EXAMPLES, shape)

    return sources.ArrayExamples(name, NUM_EXAMPLES, shape, 256, read)
