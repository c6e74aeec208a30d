"""Images of other sizes and colours; all stay images of 256 levels."""

import tensorflow as tf

ImageShape = tuple[int, ...]


def resize_images(images, image_shape: ImageShape):
    """Bring images to another size and number of channels.

    Resizing is bilinear with antialiasing; the result is rounded, so that
    resized images have 256 levels like the originals.

    Args:
        images: uint8 [..., height, width, channels].
        image_shape: [height, width, channels] of the result. One channel
            becomes three equal ones; three become their mean.

    Returns:
        uint8 [..., *image_shape].
    """
    height, width, channels = image_shape
    if tuple(images.shape[-3:]) == tuple(image_shape):
        return tf.convert_to_tensor(images)
    if images.shape[-3:-1] != (height, width):
        images = tf.image.resize(images, (height, width), antialias=True)
    images = tf.cast(images, tf.float32)
    if channels == 1:
        images = tf.reduce_mean(images, axis=-1, keepdims=True)
    return _round(_repeat_channels(images, channels))


def pad_images(images, image_shape: ImageShape):
    """Surround smaller images with zeros; see `resize_images`.

    Raises:
        ValueError: if the images are larger than `image_shape`.
    """
    height, width, channels = image_shape
    if images.shape[-3] > height or images.shape[-2] > width:
        raise ValueError(
            f"images of {tuple(images.shape[-3:-1])} pixels cannot be padded "
            f"to {(height, width)}; resize them instead."
        )
    images = tf.image.resize_with_crop_or_pad(images, height, width)
    return _repeat_channels(images, channels)


def gray_images(images, image_shape: ImageShape):
    """Resize, then replace every colour by a grey of the same energy.

        gray = sqrt(mean over the channels of x**2)

    The authors select models of CelebA on such images, with the sum in place
    of the mean: white is then sqrt(3), outside of the range of images.

    Arguments and result are those of `resize_images`.
    """
    squares = tf.square(tf.cast(resize_images(images, image_shape), tf.float32))
    gray = tf.sqrt(tf.reduce_mean(squares, axis=-1, keepdims=True))
    return _round(_repeat_channels(gray, image_shape[-1]))


def _repeat_channels(images, channels):
    if images.shape[-1] == channels:
        return images
    return tf.repeat(images, channels, axis=-1)


def _round(images):
    return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
