"""Image files that TensorFlow cannot decode, or decodes wrongly: by Pillow.

TensorFlow takes the palette of a BMP file for grey levels and knows no TIFF.
Pillow, in turn, cuts 16-bit colours to 8 bits: those are refused.
"""

import io
import struct

import numpy as np
from PIL import Image, ImageOps

_FORMATS = ("BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP")
# What Pillow raises for files that it cannot read.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    OverflowError,
)
# Kept as they are; others are converted or refused.
_LEVELS = ("L", "LA", "RGB", "RGBA")
_CONVERTED = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
}
# Tags of TIFF.
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC = 254, 258, 262
_WHITE_IS_ZERO = 0


def decode_by_pillow(encoded: bytes, title: str, max_pixels: int) -> np.ndarray:
    """Decode a BMP, GIF, PGM, PPM, TIFF or WebP file of one image.

    Palettes are looked up, the orientation of EXIF is applied, colour profiles
    are not.

    Args:
        encoded: contents of the file.
        title: name of the image, used in error messages.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        [height, width, channels]: uint8, uint16, or float32 as stored.

    Raises:
        ValueError: if the file is damaged, of another kind, too large, or
            holds several images.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            fault = _fault(image, max_pixels)
            if fault is not None:
                raise ValueError(f"{title} {fault}.")
            values = _values(image)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{title} has more than {max_pixels} pixels; make it smaller."
        ) from error
    except _DAMAGED as error:
        if str(error).startswith(title):
            raise
        raise ValueError(
            f"{title} is not an image or is damaged ({_reason(error)})."
        ) from error
    return values[..., None] if values.ndim == 2 else values


def _reason(error):
    text = " ".join(str(error).split())
    if isinstance(error, Image.UnidentifiedImageError):
        return "Pillow does not know this kind of file"
    return f"Pillow: {text.rstrip('.')[:200]}"


def _fault(image, max_pixels):
    """Return why an image is not read, or None."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return (
            f"holds {frames} images; save the one that counts, or each as a "
            "file of its own"
        )
    if image.width * image.height > max_pixels:
        return (
            f"has {image.width} x {image.height} pixels, more than "
            f"{max_pixels}; make it smaller"
        )
    if _tag(image, _SUBFILE_TYPE, 0) & 1:
        return "holds a preview; save the image itself as a PNG file"
    if image.mode in (*_LEVELS, *_CONVERTED):
        if _is_cut(image):
            return "has colours of 16 bits; save it as a 16-bit PNG file"
    elif not (
        image.mode.startswith("I;16")
        or (image.mode == "I" and image.format == "PPM")
        or image.mode == "F"
    ):
        return (
            f"has pixels of a kind that Pillow calls {image.mode}; convert it "
            "to grey or RGB of 8 or 16 bits"
        )
    return None


def _is_cut(image):
    """Return whether more bits are stored than the 8 that Pillow decodes."""
    if image.format == "PPM" and image.tile:
        arguments = image.tile[0].args
        return isinstance(arguments, tuple) and arguments[1] > 255
    return _bits(image) > 8


def _bits(image):
    return int(np.max(_tag(image, _BITS, 8)))


def _tag(image, tag, default):
    """Return the value of a tag of TIFF; the default for other formats."""
    return getattr(image, "tag_v2", {}).get(tag, default)


def _has_gray_palette(image):
    if image.mode != "P":
        return False
    colors = np.reshape(image.getpalette("RGB"), (-1, 3))
    return bool((colors == colors[:, :1]).all())


def _values(image):
    if image.mode == "F":
        return np.asarray(ImageOps.exif_transpose(image))
    is_deep = image.mode.startswith("I")
    # Pillow takes care of it in images of 8 bits.
    is_negative = is_deep and _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    white = 2 ** _bits(image) - 1
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    elif _has_gray_palette(image):
        image = image.convert("L")
    elif image.mode in _CONVERTED:
        image = image.convert(_CONVERTED[image.mode])
    values = np.asarray(image, np.uint16 if is_deep else None)
    return white - values if is_negative else values
