"""Image files that TensorFlow cannot decode, or decodes wrongly: by Pillow.

TensorFlow takes the palette of a BMP file for grey levels and knows no TIFF.
Pillow, in turn, cuts 16-bit colours to 8 bits: those are refused.
"""

import io
import re
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
_NETPBM = (b"P4", b"P5", b"P6")
# Tags of TIFF.
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC, _DESCRIPTION = 254, 258, 262, 270
_NUM_BANDS, _PREDICTOR, _SAMPLE_FORMAT, _DEPTH = 277, 317, 339, 32997
_PALETTE = 320
_METADATA, _NO_DATA = 42112, 42113
_WHITE_IS_ZERO, _SIGNED, _OF_FLOATS = 0, 2, 3
# One page that stands for many, as ImageJ and tifffile write large stacks.
_STACK = re.compile(r"^images=(?!1$)|\"truncated\": true", re.MULTILINE)
# A factor or an offset of GDAL that changes values.
_GDAL_SCALE = re.compile(
    r"role=\"(?:scale\">(?!\s*1(?:\.0*)?\s*<)|offset\">(?!\s*-?0(?:\.0*)?\s*<))"
)


def decode_by_pillow(
    encoded: bytes,
    title: str,
    max_pixels: int,
    max_level: int | None = None,
) -> np.ndarray:
    """Decode a BMP, GIF, PGM, PPM, TIFF or WebP file of one image.

    Palettes are looked up, the orientation of EXIF is applied, colour profiles
    are not. Levels of 12 bits of TIFF, and those of PGM and PPM with a white of
    their own, are spread over 8 or 16 bits, unless `max_level` says what white
    is.

    Args:
        encoded: contents of the file.
        title: name of the image, used in error messages.
        max_pixels: largest number of pixels that is decoded.
        max_level: level of white, or None for that of the file.

    Returns:
        [height, width, channels]: uint8, uint16, or float32 as stored.

    Raises:
        ValueError: if the file is damaged, of another kind, too large, or
            holds several images.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            fault = _fault(image, encoded, max_pixels)
            if fault is not None:
                raise ValueError(f"{title} {fault}.")
            bits = _bits(image) if image.format == "TIFF" else 16
            values = _values(image, max_level)
            _refuse_no_data(title, image, values)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{title} has more than {max_pixels} pixels; make it smaller."
        ) from error
    except _DAMAGED as error:
        if str(error).startswith(title):
            raise
        raise ValueError(f"{title} {_reason(error, encoded)}.") from error
    if values.dtype == np.uint16 and bits < 16 and max_level is None:
        values = np.round(values * (65_535 / (2**bits - 1))).astype(np.uint16)
    return values[..., None] if values.ndim == 2 else values


def _refuse_no_data(title, image, values):
    """Refuse pixels that a GeoTIFF file calls missing."""
    try:
        no_data = float(_tag(image, _NO_DATA, "").strip("\0 "))
    except ValueError:
        return
    values = values.reshape(image.width * image.height, -1)
    count = np.count_nonzero((values == no_data).all(axis=1))
    if count:
        raise ValueError(
            f"{title}: {count} pixels are missing (GDAL_NODATA {no_data:g}); "
            "cut them off, or fill them and remove that tag."
        )


def _reason(error, encoded):
    text = " ".join(str(error).split())
    if not isinstance(error, Image.UnidentifiedImageError):
        text = f"Pillow: {text.rstrip('.')[:200]}"
        return f"is not an image or is damaged ({text})"
    if encoded.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return (
            "is damaged, or a TIFF file that Pillow does not read: other "
            "numbers of bands or bits, or another compression; save it as grey "
            "or RGB of 8 or 16 bits"
        )
    return (
        "is not an image or is damaged (Pillow does not know this kind of file)"
    )


def _fault(image, encoded, max_pixels):
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
    if image.format == "TIFF" and (fault := _tiff_fault(image)):
        return fault
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
    if image.format == "PPM" and _goes_on(image, encoded):
        return "holds several images; save each as a file of its own"
    return _bright_fault(image, encoded)


def _own_white(image) -> int | None:
    """Return the white of a PGM or PPM file, if Pillow scales by it."""
    if image.format != "PPM" or image.mode == "F":
        return None
    arguments = image.tile[0].args
    return arguments[1] if isinstance(arguments, tuple) else None


def _bright_fault(image, encoded):
    """Return that levels are above a file's own white, or None.

    Pillow refuses those that are written as text, and cuts the others.
    """
    white = _own_white(image)
    if white is None or encoded[:2] not in _NETPBM:
        return None
    dtype = np.dtype("u1" if white < 256 else ">u2")
    start = image.tile[0].offset
    count = image.width * image.height * len(image.getbands())
    count = min(count, (len(encoded) - start) // dtype.itemsize)
    highest = np.frombuffer(encoded, dtype, count, start).max(initial=0)
    if highest <= white:
        return None
    return (
        f"has levels up to {highest}, above its own white of {white}; write "
        "its true white, as the number behind width and height"
    )


def _tiff_fault(image):
    """Return what Pillow would pass over in a TIFF file, or None."""
    description = str(_tag(image, _DESCRIPTION, ""))
    if _tag(image, _DEPTH, 1) > 1 or _STACK.search(description):
        return "holds a stack of images in one; save each as a file of its own"
    if _GDAL_SCALE.search(str(_tag(image, _METADATA, ""))):
        return (
            "has a scale and an offset (GDAL), which differ between products; "
            "apply them (gdal_translate -unscale)"
        )
    num_bands = _tag(image, _NUM_BANDS, 1)
    if num_bands != len(image.getbands()) or image.mode == "RGBX":
        return (
            f"has {num_bands} bands, of which some are neither colours nor "
            "transparency; save grey or RGB alone"
        )
    brightest = max(_tag(image, _PALETTE, (0,)))
    if image.mode in ("P", "PA") and 0 < brightest < 256:
        # TIFF has 16 bits there, of which Pillow takes the upper 8.
        return (
            f"has a palette of levels up to {brightest} of 65535, as if they "
            "were of 8 bits; save it as grey or RGB"
        )
    if image.mode == "F":
        if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
            return "has 0 as white (WhiteIsZero); invert its values"
        if _tag(image, _PREDICTOR, 1) == _OF_FLOATS and (
            image.tag_v2.prefix == b"MM"
        ):
            return (
                "holds floats in big-endian order behind a predictor, which "
                "Pillow misreads; save it without a predictor"
            )
    is_signed = _SIGNED in np.ravel(_tag(image, _SAMPLE_FORMAT, 1))
    if is_signed and image.mode in _LEVELS:
        return "has signed levels; shift them to start at 0"
    return None


def _goes_on(image, encoded):
    """Return whether another image follows in a file of Netpbm's formats."""
    if image.mode == "F":
        return False
    if encoded[:2] not in _NETPBM:
        # Numbers in text have no fixed length; letters are in comments alone.
        return b"P" in re.sub(rb"#[^\r\n]*", b"", encoded[2:])
    row = image.width * len(image.getbands())
    if image.mode == "1":
        row = -(-row // 8)
    if image.mode == "I":
        row *= 2
    end = image.tile[0].offset + row * image.height
    return encoded[end:].lstrip()[:2] in _NETPBM


def _is_cut(image):
    """Return whether more bits are stored than the 8 that Pillow decodes."""
    if image.format == "PPM":
        return (_own_white(image) or 0) > 255
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


def _values(image, max_level):
    if image.mode == "F":
        return np.asarray(ImageOps.exif_transpose(image))
    is_deep = image.mode.startswith("I")
    # Pillow takes care of it in images of 8 bits.
    is_negative = is_deep and _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    white = 2 ** _bits(image) - 1
    own_white = None if max_level is None else _own_white(image)
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    elif _has_gray_palette(image):
        image = image.convert("L")
    elif image.mode in _CONVERTED:
        image = image.convert(_CONVERTED[image.mode])
    values = np.asarray(image, np.uint16 if is_deep else None)
    if own_white is not None:
        # As they stand in the file, which Pillow has scaled.
        scaled = values * (own_white / np.iinfo(values.dtype).max)
        return np.round(scaled).astype(values.dtype)
    return white - values if is_negative else values
