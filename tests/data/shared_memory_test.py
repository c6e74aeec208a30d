"""Images and arrays are held in memory once, whatever a training does."""

import numpy as np
import pytest
import tensorflow as tf
from memory import added_memory

from nae_tf.data import read_files
from nae_tf.data.shared_memory import aligned_array, as_array, as_tensor

SHAPE = (128, 256, 1)
NUMBER = 1_024
NUM_BYTES = 2**25


@pytest.mark.parametrize("dtype", ["u1", "u2", "i8", "f4", "f8"])
def test_an_aligned_array_is_shared_with_its_tensor(dtype):
    array = aligned_array((3, 5), dtype)
    array[...] = np.arange(15).reshape(3, 5)
    tensor = as_tensor(array)
    assert np.shares_memory(as_array(tensor), array)
    assert not as_array(tensor).flags.writeable
    assert tensor.dtype == array.dtype
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert as_tensor(tensor) is tensor
    del array  # The tensor keeps the memory.
    np.testing.assert_array_equal(tensor, np.arange(15).reshape(3, 5))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12)[::2],
        np.arange(8, dtype=">f4"),
        np.zeros((0, 3), np.uint8),
        np.array([True, False]),
        np.frombuffer(bytes(range(64)), np.uint8),
    ],
    ids=["columns", "steps", "big-endian", "empty", "bool", "read-only"],
)
def test_any_other_array_is_copied(array):
    tensor = as_tensor(array)
    assert tensor.shape == array.shape
    np.testing.assert_array_equal(tensor.numpy(), array)
    if tensor.dtype != tf.bool:
        assert not np.shares_memory(as_array(tensor), array)


def write(folder, kind, image, number):
    """Write equal images, as files or as an array."""
    if kind == "npy":
        path = folder / f"{number}.npy"
        np.save(path, np.broadcast_to(image, (number, *image.shape)))
        return path
    path = folder / str(number)
    path.mkdir()
    encoded = tf.io.encode_png(image, compression=0).numpy()
    for place in range(number):
        (path / f"{place}.png").write_bytes(encoded)
    return path


@pytest.mark.parametrize("kind", ["folder", "npy"])
def test_images_are_held_once(tmp_path, kind):
    image = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    few, path = (write(tmp_path, kind, image, number) for number in (3, NUMBER))

    def train(path):
        files = read_files(str(path))
        parts = np.array_split(np.arange(files.size), 3)
        splits = [files.select("some", part) for part in parts]
        for split in splits:
            batch = next(iter(split.training_batches(1, seed=0)))
            assert batch.shape == (1, *SHAPE)
        return splits

    train(few)  # What only the first training adds.
    with added_memory() as added:
        splits = train(path)
    assert NUMBER * image.nbytes == NUM_BYTES
    # Of a file of arrays, there are what is read and the copy for a moment.
    assert added[0] < (1.4 if kind == "folder" else 2.4) * NUM_BYTES
    np.testing.assert_array_equal(splits[1].at([5]), [image])
