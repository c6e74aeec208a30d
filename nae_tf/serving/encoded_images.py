"""PNG and JPEG files decoded inside a graph, with bounded memory."""

import tensorflow as tf

from nae_tf.data.image_arrays import ImageShape, resize_images

# A file of a few bytes may claim any size: 4096 x 4096 is decoded, no more.
MAX_PIXELS = 2**24

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
# Signature, length and type of the first chunk; then width and height.
_PNG_TYPE_OFFSET = 12
_PNG_SIZE_OFFSET = 16
_PNG_HEADER_SIZE = 24


def decode_images(image_bytes, image_shape: ImageShape):
    """Decode files and bring them to one size, as training data are.

    Args:
        image_bytes: string [batch], contents of PNG or JPEG files.
        image_shape: [height, width, channels] of the result.

    Returns:
        uint8 `[batch, *image_shape]`, resized by `resize_images`.

    Raises:
        InvalidArgumentError: if a file is damaged or of another kind, or has
            more than `MAX_PIXELS` pixels or another number of channels.
    """
    # One after the other, because the memory of large images would add up.
    return tf.map_fn(
        lambda encoded: _decode(encoded, image_shape),
        image_bytes,
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
    )


def _decode(encoded, image_shape):
    is_image = _is_image(encoded)
    checks = [_assert(is_image, "the file is not a PNG or JPEG image.")]
    with tf.control_dependencies(checks):
        height, width = tf.unstack(_size(tf.identity(encoded)))
    checks = [
        _assert(
            (height >= 1) & (width >= 1) & (height * width <= MAX_PIXELS),
            f"expected an image of 1 ... {MAX_PIXELS} pixels, received height "
            "and width",
            height,
            width,
        )
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_image(
            tf.identity(encoded), expand_animations=False
        )
    channels = image_shape[-1]
    checks = [
        _assert(
            tf.equal(tf.shape(image)[-1], channels),
            f"expected an image of {channels} channels, received",
            tf.shape(image)[-1],
        )
    ]
    with tf.control_dependencies(checks):
        image = tf.ensure_shape(image, (None, None, channels))
    return tf.ensure_shape(resize_images(image, image_shape), image_shape)


def _is_image(encoded):
    # `substr` below fails beyond the end of a short file.
    filling = b"." * _PNG_HEADER_SIZE
    header = tf.strings.substr(encoded, 0, _PNG_HEADER_SIZE)
    header = tf.strings.join([header, filling])
    # A chunk before a PNG file's header would hide the size.
    is_png = _has(header, 0, _PNG_SIGNATURE) & _has(
        header, _PNG_TYPE_OFFSET, b"IHDR"
    )
    return (tf.strings.length(encoded) >= _PNG_HEADER_SIZE) & (
        _is_jpeg(encoded) | is_png
    )


def _is_jpeg(encoded):
    return _has(encoded, 0, _JPEG_SIGNATURE)


def _has(encoded, offset, octets):
    return tf.equal(tf.strings.substr(encoded, offset, len(octets)), octets)


def _size(encoded):
    """Return height and width from the header of a file, int64 [2]."""

    def png_size():
        header = tf.strings.substr(encoded, _PNG_SIZE_OFFSET, 8)
        octets = tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int64)
        width_height = tf.linalg.matvec(
            tf.reshape(octets, (2, 4)),
            tf.constant([2**24, 2**16, 2**8, 1], tf.int64),
        )
        return tf.reverse(width_height, axis=[0])

    def jpeg_size():
        return tf.image.extract_jpeg_shape(encoded, tf.int64)[:2]

    return tf.cond(_is_jpeg(encoded), jpeg_size, png_size)


def _assert(condition, message, *values):
    return tf.debugging.Assert(condition, [f"Bad input: {message}", *values])
