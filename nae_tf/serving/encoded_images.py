"""PNG and JPEG files scored by a server, with bounded memory."""

import tensorflow as tf

from nae_tf.data.image_arrays import ImageShape, white_level
from nae_tf.data.image_graphs import checked_header, decode_checked, has_16_bits

# A file of a few bytes may claim any size: 4096 x 4096 is decoded, no more.
MAX_PIXELS = 2**24


def decode_images(
    image_bytes, image_shape: ImageShape, max_level: int | None = None
):
    """Decode files and bring them to one size, as training data are.

    Args:
        image_bytes: string [batch], contents of PNG or JPEG files.
        image_shape: [height, width, channels] of the result.
        max_level: level of white; None means 255 or 65,535, by the depth of
            each file.

    Returns:
        float32 `[batch, *image_shape]` in [0, 1]: levels over that of white.

    Raises:
        InvalidArgumentError: if a file is damaged or of another kind, has more
            than `MAX_PIXELS` pixels, another number of channels, or levels
            above `max_level`.
    """
    # One after the other, because the memory of large images would add up.
    return tf.map_fn(
        lambda encoded: _decode(encoded, image_shape, max_level),
        image_bytes,
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec(image_shape, tf.float32),
    )


def decode_images_apart(
    image_bytes, image_shape: ImageShape, max_level: int | None = None
):
    """Decode files as `decode_images`, and mark those that cannot be decoded.

    A server may join the requests of several clients: one damaged file must
    not end the request of the others.

    Arguments are those of `decode_images`.

    Returns:
        float32 `[batch, *image_shape]` in [0, 1]; zeros for marked files.
        bool [batch], whether a file was decoded.
    """

    def decode(encoded):
        return _decode(encoded, image_shape, max_level), True

    def decode_or_mark(encoded):
        # A graph cannot catch an error; a data set in it can leave it out.
        decoded = tf.data.Dataset.from_tensors(encoded).map(decode)
        marked = tf.data.Dataset.from_tensors((tf.zeros(image_shape), False))
        either = decoded.ignore_errors().concatenate(marked).take(1)
        return either.get_single_element()

    return tf.map_fn(
        decode_or_mark,
        image_bytes,
        parallel_iterations=1,
        fn_output_signature=(
            tf.TensorSpec(image_shape, tf.float32),
            tf.TensorSpec((), tf.bool),
        ),
    )


def _decode(encoded, image_shape, max_level):
    is_deep = has_16_bits(encoded)
    encoded, orientation = checked_header(encoded, MAX_PIXELS)

    def values(dtype):
        white = white_level(dtype, max_level)
        levels = decode_checked(encoded, orientation, image_shape, dtype, white)
        return tf.cast(levels, tf.float32) / white

    return tf.cond(is_deep, lambda: values(tf.uint16), lambda: values(tf.uint8))
