"""Checks of arrays from files, so that a network gets only valid examples."""

import warnings

import numpy as np

from nae_tf.data.image_arrays import ImageShape, resize_images, white_level

# Floats that were divided in another precision may pass 1 by their rounding.
_ROUNDING = 1e-5
# Three of eight bits, or of sixteen: a camera of 12 bits uses four less.
_DARK = 8


def check_kind(
    title,
    shape: tuple[int, ...],
    dtype: np.dtype,
    max_level: int | None = None,
):
    """Refuse an array that cannot hold examples, by its shape and type.

    Args:
        title: name of the array, used in error messages.
        shape: shape of the array, [number, ...].
        dtype: type of the array.
        max_level: level of white in images, or None.

    Raises:
        ValueError: if shape or type are not those of vectors or images.
    """
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise ValueError(
            f"{title}: expected vectors [number, features] or images [number, "
            f"height, width(, channels)], received an array of shape {shape}."
        )
    if dtype.kind not in "iubf":
        allowed = "uint8, uint16 or floats" if len(shape) > 2 else "numbers"
        remedy = ""
        if dtype.kind == "V" and dtype.names is None:
            # NumPy writes types of ml_dtypes as bytes, without their name.
            remedy = "; if these were bfloat16 or float8, save them as float32"
        raise ValueError(
            f"{title}: expected {allowed}, received {dtype}{remedy}."
        )
    if (
        len(shape) > 2
        and dtype.kind != "f"
        and dtype.newbyteorder("=") not in (np.uint8, np.uint16)
        and max_level is None
    ):
        raise ValueError(
            f"{title}: expected uint8, uint16 or floats, received {dtype}; set "
            "max_level to the level of white."
        )


def check_layout(title, shape: tuple[int, ...], image_shape):
    """Refuse images that are not [number, height, width(, channels)].

    Args:
        title: name of the array, used in error messages.
        shape: shape of the array, [number, ...].
        image_shape: [height, width, channels] that was asked for, or None; an
            array of just that shape is taken as it is.

    Raises:
        ValueError: if channels come first, or the array is one colour image.
    """
    if image_shape is not None and tuple(shape[1:]) == tuple(image_shape):
        return
    colors = (1, 3, 4)
    if len(shape) == 4 and shape[1] in colors and shape[-1] not in (*colors, 2):
        raise ValueError(
            f"{title}: expected images [number, height, width, channels], "
            f"received shape {shape}, as if channels came first; use "
            "np.moveaxis(images, 1, -1)."
        )
    if len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4:
        raise ValueError(
            f"{title}: expected images [number, height, width], received shape "
            f"{shape}, which looks like one image of colours; use image[None]."
        )


def warn_of_axes(title, shape: tuple[int, int, int], image_shape):
    """Warn of grey images that may be counted along another axis.

    Args:
        title: name of the array.
        shape: [number, height, width] of all of them.
        image_shape: [height, width, channels] that was asked for, or None.
    """
    number, height, width = shape
    if image_shape is not None and (height, width) == tuple(image_shape[:2]):
        return
    if number == height != width:
        warnings.warn(
            f"{title}: {number} images of {height} x {width} are read; if "
            f"these are {width} images of {number} x {height}, store "
            "np.moveaxis(images, -1, 0).",
            stacklevel=2,
        )


def checked_examples(
    title,
    values: np.ndarray,
    image_shape: ImageShape | None = None,
    start: int = 0,
    max_level: int | None = None,
) -> np.ndarray:
    """Return examples in the form that a network takes.

    Args:
        title: name of the file, used in error messages.
        values: vectors [number, features] or images [number, height, width(,
            channels)].
        image_shape: [height, width, channels] to resize images of levels to.
        start: number of the first example in its file, used in error messages.
        max_level: level of white in images; None means 255 or 65,535 for
            levels and 1 for floats.

    Returns:
        Images as uint8, uint16 or as float32 in [0, 1], with an axis of
        channels; vectors as float32.

    Raises:
        ValueError: if shape or type do not fit, if values are NaN or infinite,
            or if images leave their range.
    """
    # Only then are types of one size equal, whoever wrote the bytes.
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    check_kind(title, values.shape, values.dtype, max_level)
    if values.ndim == 2:
        return _finite(title, values, start)
    check_layout(title, values.shape, image_shape)
    if values.ndim == 3:
        values = values[..., None]
    if values.dtype.kind == "f":
        values = _finite(title, values, start)
    values = checked_levels(title, values, max_level)
    if values.dtype.kind == "f":
        if image_shape is None or values.shape[1:] == tuple(image_shape):
            return values
        raise ValueError(
            f"{title}: expected examples of shape {tuple(image_shape)}, "
            f"received {values.shape[1:]}; only images of levels are resized."
        )
    if image_shape is None:
        return values
    _check_channels(title, values, image_shape)
    return resize_images(values, image_shape).numpy()


def refuse_identifiers(title, values: np.ndarray):
    """Refuse integers that floats cannot tell apart.

    Args:
        title: name of the array or column, used in error messages.
        values: its numbers, of any type.

    Raises:
        ValueError: if there is an integer of 2**53 or more.
    """
    if values.dtype.kind not in "iu" or values.itemsize < 8 or not values.size:
        return
    if values.max() >= 2**53 or values.min() <= -(2**53):
        raise ValueError(
            f"{title} holds integers of 2**53 or more, which floats cannot "
            "tell apart; leave it out, by drop if it is a column."
        )


def _finite(title, values, start):
    refuse_identifiers(title, values)
    with np.errstate(over="ignore"):  # Infinite values are refused below.
        values = np.asarray(values, np.float32)
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{title}: {np.sum(~finite)} of {len(values)} examples have NaN or "
            f"infinite values, the first is number {start + np.argmin(finite)} "
            "(counted from 0); repair or remove them."
        )
    return values


def checked_levels(
    title, values: np.ndarray, max_level: int | None = None
) -> np.ndarray:
    """Return images whose values are in their range.

    Args:
        title: name of the images, used in error messages.
        values: images of integers, or of floats.
        max_level: level of white; None means 255 or 65,535 for levels and 1
            for floats.

    Returns:
        Levels 0 ... white as uint8 or uint16; floats over `max_level` as
        float32 in [0, 1].

    Raises:
        ValueError: if a value is out of range.
    """
    if values.dtype.kind != "f":
        return _checked_integers(title, values, max_level)
    values = np.asarray(values, np.float32)
    if max_level is not None:
        values = values / np.float32(max_level)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{title}: {np.sum(~np.isfinite(values))} pixels are NaN or "
            "infinite; repair them, or remove the image."
        )
    low, high = values.min(), values.max()
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        white = "" if max_level is None else f" after division by {max_level}"
        raise ValueError(
            f"{title}: expected float images in [0, 1], received {low:g} ... "
            f"{high:g}{white}; scale them, or set max_level to the value of "
            "white."
        )
    return values.clip(0.0, 1.0)


def _checked_integers(title, values, max_level):
    is_stored = values.dtype in (np.uint8, np.uint16)
    white = white_level(values.dtype, max_level) if is_stored else max_level
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > white:
        raise ValueError(
            f"{title}: expected levels 0 ... {white}, received {low} ... "
            f"{high}; set max_level to the level of white."
        )
    if is_stored and white > np.iinfo(values.dtype).max:
        raise ValueError(
            f"{title}: expected levels up to {white}, received {values.dtype}, "
            "which cannot hold them; leave max_level out."
        )
    if is_stored:
        return values
    if white > np.iinfo(np.uint16).max:
        return (values / white).astype(np.float32)
    return values.astype(np.uint8 if white < 256 else np.uint16)


def warn_of_dark_levels(title, highest, dtype, max_level: int | None = None):
    """Warn if the brightest level is far below white: white may be another.

    Args:
        title: name of the images.
        highest: brightest level.
        dtype: type of the images; floats are not looked at.
        max_level: level of white that was given; then nothing is said.
    """
    if max_level is not None or np.dtype(dtype).kind == "f":
        return
    warn_below_white(title, highest, white_level(dtype))


def warn_below_white(title, highest, white: int):
    """Warn if the brightest level is far below white.

    Args:
        title: name of the images.
        highest: brightest level.
        white: level that is taken for white.
    """
    if 0 < highest <= white // _DARK:
        warnings.warn(
            f"{title}: the brightest level is {highest} of {white}, so images "
            f"are almost black; if {_likely_white(int(highest))} is white, set "
            "max_level to it.",
            stacklevel=2,
        )


def _likely_white(highest):
    """Return the largest level of the bits that are used; 16 stays."""
    bits = highest.bit_length()
    return highest if highest & (highest - 1) == 0 else 2**bits - 1


def num_levels(dtype, max_level: int | None = None) -> int | None:
    """Return how many levels images of a type have; None for floats."""
    if np.dtype(dtype).kind == "f":
        return None
    return white_level(dtype, max_level) + 1


def as_floats(images: np.ndarray, max_level: int | None = None) -> np.ndarray:
    """Return levels as float32 in [0, 1], everything else as it is."""
    if images.dtype in (np.uint8, np.uint16):
        return images.astype(np.float32) / white_level(images.dtype, max_level)
    return images


def _check_channels(title, values, image_shape):
    if values.shape[-1] != image_shape[-1]:
        raise ValueError(
            f"{title} has images of {values.shape[-1]} channels, expected "
            f"{image_shape[-1]}; convert them."
        )
