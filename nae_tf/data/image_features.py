"""A task on features of images, which a network makes of them once."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import gin
import numpy as np

from nae_tf.data.examples import Examples
from nae_tf.data.feature_networks import FeatureNetwork, ImageFeatures
from nae_tf.data.fingerprints import digest_of, fingerprints
from nae_tf.data.photographs import photograph_shape, photographs
from nae_tf.data.readers.paths import Paths
from nae_tf.data.sources import ArrayExamples
from nae_tf.data.task import Task

_BATCH_SIZE = 32
CACHE = "~/.cache/nae_tf/features"


@gin.register(module="nae_tf")
def image_features(
    network,
    pixel_range: Sequence[float] | None = None,
    inliers: Paths | None = None,
    outliers: Paths | Mapping[str, Paths] | None = None,
    tree: str | None = None,
    image_size: Sequence[int] | None = None,
    cache: str | None = CACHE,
    trust_network: bool = False,
) -> Task:
    """Features of folders of images, or of a tree of them.

    The network makes the features of an image once; they are kept in a file of
    `cache`. What is exported takes images, and the network is part of it.
    Settings of `user_data` that a gin file binds hold here, too.

    Args:
        network: path of a `.keras` file or of a SavedModel, or a Keras model,
            from images to vectors.
        pixel_range: values of black and of white that the network takes, such
            as (0, 255), (0, 1) or (-1, 1). There is no default, because nobody
            would notice the wrong one.
        inliers: folder of inliers, or several.
        outliers: as `photographs` takes them.
        tree: folder of a tree in their place, as `photographs` takes it.
        image_size: (height, width) to resize images to; None means the size
            that the network takes.
        cache: folder for features; None keeps none.
        trust_network: whether a SavedModel may have operations that no export
            needs, which can read and write files.

    Raises:
        FileNotFoundError: if the network or a folder does not exist.
        ValueError: if an image or the network is not what it should be.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> import numpy as np
        >>> import PIL.Image
        >>> from nae_tf.data import image_features
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> pixels = np.random.default_rng(0).integers(0, 256, (10, 80, 90, 3))
        >>> for number, image in enumerate(pixels.astype(np.uint8)):
        ...     PIL.Image.fromarray(image).save(folder / f"{number}.png")
        >>> means = keras.Sequential(
        ...     [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]
        ... )
        >>> task = image_features(means, (0, 1), str(folder), cache=None)
        >>> task.example_shape, task.train.size
        ((3,), 7)
    """
    levels = _checked_range(pixel_range)
    made_by = FeatureNetwork.of(network, trust_network)
    height, width, channels = made_by.image_shape
    if image_size is not None:
        if any(
            taken not in (None, given)
            for taken, given in zip((height, width), image_size, strict=True)
        ):
            raise ValueError(
                f"image_features: {made_by.title} takes images of "
                f"{height}x{width} pixels, received image_size="
                f"{tuple(image_size)}; leave it out."
            )
        height, width = image_size
    if height is None or width is None:
        raise ValueError(
            f"image_features: {made_by.title} takes images of any size; set "
            "image_size, such as (224, 224)."
        )
    found = photograph_shape(inliers, tree)[-1]
    if found > channels:
        raise ValueError(
            f"image_features: {made_by.title} takes grey images, and these "
            "have colours; convert them, or take a network of colours."
        )
    shape = (height, width, found)
    task = photographs(inliers, outliers, tree, shape)
    features = ImageFeatures(made_by, shape, levels, task.train.num_levels)
    notes = [
        *task.notes,
        f"{made_by.num_features:,} features of each are made by "
        f"{made_by.title}"
        + (f", and kept in {cache}" if cache is not None else ""),
    ]
    if task.ground_truth is not None:
        notes.append("features have no pixels, so no metrics of pixels follow")

    def of(examples):
        return _features_of(examples, features, cache)

    return dataclasses.replace(
        task,
        train=of(task.train),
        validation=of(task.validation),
        test=of(task.test),
        selection={name: of(x) for name, x in task.selection.items()},
        outliers={name: of(x) for name, x in task.outliers.items()},
        notes=notes,
        ground_truth=None,
        features=features,
    )


def _checked_range(pixel_range):
    given = () if pixel_range is None else tuple(pixel_range)
    if (
        len(given) != 2
        or not np.all(np.isfinite(given))
        or given[0] >= given[1]
    ):
        raise ValueError(
            "image_features: expected pixel_range, the values of black and of "
            "white that the network takes, such as (0, 255), (0, 1) or "
            f"(-1, 1), received {pixel_range!r}."
        )
    return float(given[0]), float(given[1])


def _features_of(examples: Examples, features, cache) -> ArrayExamples:
    def make():
        batches = examples.batches(_BATCH_SIZE)
        return np.concatenate([features(batch).numpy() for batch in batches])

    def read():
        if cache is None:
            return make()
        # Files tell images apart, or the levels of those that have none.
        hashes = fingerprints(examples)
        assert hashes is not None  # Images are no samples of a density.
        digest = digest_of(hashes)
        folder = pathlib.Path(cache).expanduser()
        path = folder / f"{features.digest[:16]}-{digest[:16]}.npy"
        with contextlib.suppress(OSError, ValueError):
            kept = np.load(path, allow_pickle=False)
            if kept.shape == shape and kept.dtype == np.float32:
                return kept
        values = make()
        _keep(path, values)
        return values

    # Features of another network are other data.
    prefix, of_images = features.digest.encode(), examples.contents
    contents = of_images and (lambda: (prefix + c for c in of_images()))
    shape = (examples.size, features.network.num_features)
    return ArrayExamples(
        examples.name,
        examples.size,
        shape[1:],
        None,
        read=read,
        contents=contents,
        origin=examples.origin,
    )


def _keep(path, values):
    """Write a file as a whole or not at all: another run may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, suffix=".tmp", delete=False
    ) as file:
        try:
            np.save(file, values)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
