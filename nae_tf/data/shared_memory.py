"""Arrays that NumPy and TensorFlow hold together, in one place of memory."""

import math

import numpy as np
import tensorflow as tf

# The memory of a tensor begins at a multiple of so many bytes.
_ALIGNMENT = 64
_SHARED = "iuf"


def aligned_array(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Return an array, not yet filled, that `as_tensor` need not copy.

    Args:
        shape: shape of the array.
        dtype: type of its values.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    octets = np.empty(size + _ALIGNMENT, np.uint8)
    start = -octets.ctypes.data % _ALIGNMENT
    return octets[start : start + size].view(dtype).reshape(shape)


def as_tensor(array: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Return a tensor with the values of an array.

    `tf.convert_to_tensor` would copy most arrays twice, and none is held by
    NumPy and TensorFlow together.

    Args:
        array: the array. One of `aligned_array` shares its memory with the
            tensor and must not change any more; others are copied. A tensor
            stays as it is.
    """
    with tf.device("CPU:0"):
        if not isinstance(array, np.ndarray) or not (
            array.size and array.dtype.kind in _SHARED and array.dtype.isnative
        ):
            return tf.convert_to_tensor(array)
        if not array.flags.carray or array.ctypes.data % _ALIGNMENT:
            copy = aligned_array(array.shape, array.dtype)
            copy[...] = array
            array = copy
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def as_array(tensor: tf.Tensor) -> np.ndarray:
    """Return an array that shares the memory of a tensor; it is read-only."""
    return np.asarray(memoryview(tensor))
