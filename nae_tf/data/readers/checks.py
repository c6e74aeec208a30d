"""Checks of arrays from files, so that a network gets only valid examples."""

import numpy as np

from nae_tf.data.image_arrays import ImageShape, resize_images


def check_kind(title, shape: tuple[int, ...], dtype: np.dtype):
    """Refuse an array that cannot hold examples, by its shape and type.

    Args:
        title: name of the array, used in error messages.
        shape: shape of the array, [number, ...].
        dtype: type of the array.

    Raises:
        ValueError: if shape or type are not those of vectors or images.
    """
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise ValueError(
            f"{title}: expected vectors [number, features] or images [number, "
            f"height, width(, channels)], received an array of shape {shape}."
        )
    is_image = len(shape) > 2
    allowed = "uint8 or floats" if is_image else "numbers"
    if dtype.kind != "f" and (
        dtype != np.uint8 if is_image else dtype.kind not in "iub"
    ):
        raise ValueError(f"{title}: expected {allowed}, received {dtype}.")


def checked_examples(
    title,
    values: np.ndarray,
    image_shape: ImageShape | None = None,
    start: int = 0,
) -> np.ndarray:
    """Return examples in the form that a network takes.

    Args:
        title: name of the file, used in error messages.
        values: vectors [number, features] or images [number, height, width(,
            channels)].
        image_shape: [height, width, channels] to resize uint8 images to.
        start: number of the first example in its file, used in error messages.

    Returns:
        Images as uint8 or as float32 in [0, 1], with an axis of channels;
        vectors as float32.

    Raises:
        ValueError: if shape or type do not fit, if values are NaN or infinite,
            or if float images leave [0, 1].
    """
    check_kind(title, values.shape, values.dtype)
    is_image = values.ndim > 2
    if values.ndim == 3:
        values = values[..., None]
    if is_image and values.dtype == np.uint8:
        if image_shape is None:
            return values
        _check_channels(title, values, image_shape)
        return resize_images(values, image_shape).numpy()
    with np.errstate(over="ignore"):  # Infinite values are refused below.
        values = np.asarray(values, np.float32)
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{title}: {np.sum(~finite)} of {len(values)} examples have NaN or "
            f"infinite values, the first is number {start + np.argmin(finite)} "
            "(counted from 0); repair or remove them."
        )
    if is_image and (values.min() < 0.0 or values.max() > 1.0):
        raise ValueError(
            f"{title}: expected float images in [0, 1], received "
            f"{values.min():g} ... {values.max():g}; scale them."
        )
    if image_shape is not None and values.shape[1:] != tuple(image_shape):
        raise ValueError(
            f"{title}: expected examples of shape {tuple(image_shape)}, "
            f"received {values.shape[1:]}; only uint8 images are resized."
        )
    return values


def _check_channels(title, values, image_shape):
    if values.shape[-1] != image_shape[-1]:
        raise ValueError(
            f"{title} has images of {values.shape[-1]} channels, expected "
            f"{image_shape[-1]}; convert them."
        )
