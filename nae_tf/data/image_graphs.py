"""PNG and JPEG files decoded inside a graph, from the header to the size.

A server and the streams of training use it. `readers.images` decodes the same
files to the same values outside of graphs; `image_headers` tells what the
fields of a header are.
"""

import tensorflow as tf

from nae_tf.base.input_checks import BAD_INPUT
from nae_tf.data import image_headers
from nae_tf.data.image_arrays import ImageShape, resize_images, upright_image

# Octets behind a file, so that reading a number never leads out of it.
_PADDING = b"\x00" * 64
_NO_FAULT, _ANIMATED, _TRANSPARENT = 0, 1, 2
_FRAMES = [bytes([0xFF, kind]) for kind in sorted(image_headers.START_OF_FRAME)]
_LAST_SEGMENTS = [*_FRAMES, bytes([0xFF, image_headers.START_OF_SCAN])]


class _Octets:
    """The contents of a file, read at positions that only the graph knows.

    Attributes:
        size: their number, int64 [].
    """

    def __init__(self, encoded):
        self.size = tf.cast(tf.strings.length(encoded), tf.int64)
        self._padded = tf.strings.join([encoded, _PADDING])

    def at(self, start, size):
        """Return `size` octets as a string []."""
        start = tf.clip_by_value(tf.cast(start, tf.int64), 0, self.size)
        return tf.strings.substr(self._padded, start, size)

    def number(self, start, size, is_little=False):
        """Return an unsigned number of 2 or 4 octets, int64 []."""
        dtype = {2: tf.int16, 4: tf.int32}[size]
        octets = self.at(start, size)
        big = tf.io.decode_raw(octets, dtype, little_endian=False)[0]
        if is_little is not False:
            little = tf.io.decode_raw(octets, dtype)[0]
            big = tf.where(is_little, little, big)
        return tf.cast(big, tf.int64) % 256**size

    def entries(self, start, count):
        """Return entries of a TIFF directory, int64 [count, 12]."""
        octets = tf.io.decode_raw(self.at(start, 12 * count), tf.uint8)
        return tf.cast(tf.reshape(octets, (count, 12)), tf.int64)


def is_png_or_jpeg(encoded):
    """Return whether a file begins as PNG or JPEG files do, bool []."""
    return is_png(encoded) | _starts(encoded, image_headers.JPEG_SIGNATURE)


def is_png(encoded):
    """Return whether a file begins as PNG files do, bool []."""
    return _starts(encoded, image_headers.PNG_SIGNATURE)


def has_16_bits(encoded):
    """Return whether a PNG or JPEG file has 16 bits per channel, bool []."""
    depth = tf.strings.substr(tf.strings.join([encoded, _PADDING]), 24, 1)
    return is_png(encoded) & tf.equal(depth, b"\x10")


def checked_header(encoded, max_pixels: int):
    """Check what a file says about itself, before it is decoded.

    Args:
        encoded: string [], contents of the file.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        The file, string [], and its orientation, int64 [].

    Raises:
        InvalidArgumentError: when the graph runs, if the file is damaged, an
            animation or of another kind, has more pixels, or a transparent
            colour.
    """
    is_image = _check(
        is_png_or_jpeg(encoded), "the file is not a PNG or JPEG image."
    )
    with tf.control_dependencies([is_image]):
        encoded = tf.identity(encoded)
    is_known, height, width, orientation, fault = _read_header(encoded)
    checks = [
        _check(is_known, "the file is not a PNG or JPEG image, or is damaged."),
        _check(
            tf.not_equal(fault, _ANIMATED),
            f"the file {image_headers.ANIMATED}.",
        ),
        _check(
            tf.not_equal(fault, _TRANSPARENT),
            f"the file {image_headers.TRANSPARENT_COLOR}.",
        ),
        # Compared with the quotient: the product of two such numbers may be
        # larger than an int64.
        _check(
            (height >= 1)
            & (width >= 1)
            & (height <= max_pixels // tf.maximum(width, 1)),
            f"expected an image of 1 ... {max_pixels} pixels, received height "
            "and width",
            height,
            width,
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(encoded), orientation


def decode_checked(
    encoded, orientation, image_shape: ImageShape, dtype: tf.DType, white: int
):
    """Decode a PNG or JPEG file as `readers.images.decode_image` does.

    Args:
        encoded: string [], contents of a file whose header has been checked.
        orientation: int64 [], 1 ... 8, as its EXIF data have it.
        image_shape: [height, width, channels] to resize to.
        dtype: uint16 where `has_16_bits`, else uint8.
        white: highest level that is valid.

    Returns:
        Levels, `dtype` `[*image_shape]`.

    Raises:
        InvalidArgumentError: when the graph runs, if the file is damaged, has
            other channels or higher levels, or is transparent somewhere.
    """
    image = tf.io.decode_image(encoded, dtype=dtype, expand_animations=False)
    # Most images are upright and of the right size: nothing is moved then.
    image = tf.cond(
        tf.equal(orientation, 1),
        lambda: image,
        lambda: upright_image(image, orientation),
    )
    channels = image_shape[-1]
    received = tf.shape(image)[-1]
    fits = tf.equal(received, channels)
    if channels in (1, 3):
        fits |= tf.equal(received, channels + 1)
    checks = [
        _check(
            fits,
            f"expected an image of {channels} channels, received",
            received,
        ),
        _check(
            tf.reduce_all(tf.equal(image[..., channels:], dtype.max)),
            "the image is transparent in places; lay it on a background.",
        ),
    ]
    if white != dtype.max:
        highest = tf.reduce_max(tf.cast(image[..., :channels], tf.int32))
        checks.append(
            _check(
                (white <= dtype.max) & (highest <= white),
                f"expected levels up to {white} in an image of "
                f"{8 * dtype.size} bits, the range of the training data.",
            )
        )
    with tf.control_dependencies(checks):
        image = image[..., :channels]
    image = tf.ensure_shape(image, (None, None, channels))
    image = tf.cond(
        tf.reduce_all(tf.equal(tf.shape(image), image_shape)),
        lambda: image,
        lambda: resize_images(image, image_shape),
    )
    return tf.ensure_shape(image, image_shape)


def _read_header(encoded):
    """Return whether the header is valid; then height, width and so on."""
    octets = _Octets(encoded)
    png = is_png(encoded)
    # Of PNG, chunks: length, name, contents, checksum. Of JPEG, segments:
    # marker, length (of itself too), contents.
    before = tf.where(png, _int64(8), 4)
    type_of_png = octets.at(25, 1)
    may_be_opaque = tf.reduce_any(
        tf.equal(
            type_of_png, [bytes([t]) for t in image_headers.OPAQUE_PNG_TYPES]
        )
    )

    def goes_on(start, *_):
        is_inner = tf.equal(octets.at(start, 1), b"\xff") & ~tf.reduce_any(
            tf.equal(octets.at(start, 2), _LAST_SEGMENTS)
        )
        return (start + before <= octets.size) & (png | is_inner)

    def body(start, exif, exif_size, fault):
        marker, name = octets.at(start, 2), octets.at(start + 4, 4)
        length = tf.where(
            png, octets.number(start, 4), octets.number(start + 2, 2)
        )
        signature = image_headers.EXIF_SIGNATURE
        is_segment = tf.equal(
            marker, bytes([0xFF, image_headers.EXIF_SEGMENT])
        ) & tf.equal(octets.at(start + 4, len(signature)), signature)
        is_exif = tf.where(png, tf.equal(name, b"eXIf"), is_segment)
        is_first = is_exif & tf.equal(exif, 0)
        skipped = tf.where(png, _int64(0), len(signature))
        exif = tf.where(is_first, start + before + skipped, exif)
        size = tf.where(png, length, length - 2 - len(signature))
        exif_size = tf.where(is_first, size, exif_size)
        is_animated = png & tf.equal(name, b"acTL")
        is_transparent = png & tf.equal(name, b"tRNS") & may_be_opaque
        fault = tf.where(is_animated, _ANIMATED, fault)
        fault = tf.where(is_transparent, _TRANSPARENT, fault)
        # Markers of JPEG may be filled up.
        step = tf.where(tf.equal(marker, b"\xff\xff"), _int64(1), 2 + length)
        step = tf.where(png, 12 + length, step)
        return start + step, exif, exif_size, fault

    first = tf.where(png, _int64(len(image_headers.PNG_SIGNATURE)), 2)
    last, exif, exif_size, fault = tf.while_loop(
        goes_on, body, (first, _int64(0), _int64(0), tf.constant(_NO_FAULT))
    )
    is_frame = tf.reduce_any(tf.equal(octets.at(last, 2), _FRAMES))
    # A chunk before the header of a PNG file would hide the size.
    is_header = tf.equal(octets.at(12, 4), b"IHDR")
    is_known = tf.where(png, is_header, is_frame & (last + 9 <= octets.size))
    sizes = [
        tf.where(png, octets.number(png_start, 4), octets.number(start, 2))
        for png_start, start in ((20, last + 5), (16, last + 7))
    ]
    orientation = _exif_orientation(octets, exif, exif_size)
    return is_known, *sizes, orientation, fault


def _exif_orientation(octets, start, size):
    """Return the orientation in EXIF data, as `exif_orientation` does."""
    stop = tf.minimum(start + size, octets.size)
    order = octets.at(start, 2)
    is_little = tf.equal(order, b"II")
    is_known = is_little | tf.equal(order, b"MM")
    directory = start + octets.number(start + 4, 4, is_little)
    count = octets.number(directory, 2, is_little)
    # Whole entries within the data; then a row of zeros to look at.
    fitting = tf.maximum(stop - directory - 2, 0) // 12
    entries = octets.entries(directory + 2, tf.minimum(count, fitting))
    entries = tf.pad(entries, [[0, 1], [0, 0]])
    weights = tf.where(is_little, _int64([1, 256]), _int64([256, 1]))

    def two(row):
        return tf.reduce_sum(row * weights, axis=-1)

    is_orientation = tf.equal(
        two(entries[:, 0:2]), image_headers.ORIENTATION_TAG
    )
    entry = entries[tf.argmax(is_orientation)]
    value = two(entry[8:10])
    is_valid = (
        is_known
        & tf.reduce_any(is_orientation)
        & tf.equal(two(entry[2:4]), image_headers.SHORT)
        & (value >= 1)
        & (value <= 8)
    )
    return tf.where(is_valid, value, 1)


def _int64(value):
    return tf.constant(value, tf.int64)


def _starts(encoded, beginning: bytes):
    # `substr` fails on a file that is shorter.
    padded = tf.strings.join([encoded, _PADDING])
    return tf.equal(tf.strings.substr(padded, 0, len(beginning)), beginning)


def _check(condition, message, *values):
    return tf.debugging.Assert(condition, [f"{BAD_INPUT} {message}", *values])
