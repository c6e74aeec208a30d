"""Tests of nae_tf/data/examples.py on small arrays."""

import itertools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf.data import sources, task


def array_examples(array, num_levels=None, name="test"):
    return sources.ArrayExamples(
        name, len(array), array.shape[1:], num_levels, lambda: array
    )


def numbered(size):
    """Examples that are their own index."""
    return array_examples(np.arange(size, dtype=np.float32)[:, None])


def take(dataset, num_batches):
    return list(dataset.take(num_batches).as_numpy_iterator())


def test_evaluation_batches_keep_order_and_the_partial_last_batch():
    batches = list(numbered(7).batches(3).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(batches)[:, 0], range(7))


def test_evaluation_can_stop_after_some_examples():
    batches = numbered(9).batches(4, limit=6).as_numpy_iterator()
    np.testing.assert_array_equal(np.concatenate(list(batches))[:, 0], range(6))


@pytest.mark.parametrize("num_levels", [17, 256])
def test_grey_levels_are_scaled_to_the_unit_interval(num_levels):
    levels = np.arange(num_levels, dtype=np.uint8).reshape(-1, 1, 1, 1)
    stored = array_examples(levels, num_levels)
    [batch] = stored.batches(num_levels).as_numpy_iterator()
    assert batch.dtype == np.float32
    np.testing.assert_allclose(
        batch.ravel(), np.linspace(0.0, 1.0, num_levels), rtol=1e-6
    )


def test_every_example_occurs_exactly_once_an_epoch():
    batches = numbered(10).training_batches(4, seed=3)
    order = np.concatenate(take(batches, 10)).reshape(4, 10)
    np.testing.assert_array_equal(np.sort(order), [np.arange(10)] * 4)
    assert len({tuple(epoch) for epoch in order}) == 4


def test_a_batch_may_be_larger_than_the_data_set():
    [batch] = take(numbered(4).training_batches(10, seed=0), 1)
    np.testing.assert_array_equal(np.sort(batch[:8, 0]), np.arange(8) // 2)


def test_orders_are_uniform_over_epochs():
    size, epochs = 6, 3_000
    batches = numbered(size).training_batches(size * epochs, seed=1)
    order = take(batches, 1)[0].reshape(epochs, size).astype(int)
    # 720 orders, 4.2 expected of each.
    codes = order @ size ** np.arange(size)
    _, counts = np.unique(codes, return_counts=True)
    expected = epochs / 720
    statistic = np.sum((counts - expected) ** 2) / expected
    statistic += (720 - len(counts)) * expected
    assert scipy.stats.chi2.sf(statistic, 719) > 1e-6


def test_order_depends_on_the_seed_and_on_nothing_else():
    def first_batch(seed):
        return take(numbered(100).training_batches(100, seed), 1)[0]

    np.testing.assert_array_equal(first_batch(5), first_batch(5))
    assert not np.array_equal(first_batch(5), first_batch(6))
    assert not np.array_equal(first_batch(5), first_batch(5 + 2**32))


@pytest.mark.parametrize("start_step", [0, 1, 3, 5, 8, 101])
def test_start_step_gives_the_tail_of_the_sequence(start_step):
    images = np.random.default_rng(0).integers(
        0, 256, (13, 4, 4, 3), dtype=np.uint8
    )
    stored = array_examples(images, 256)
    whole = stored.training_batches(5, seed=2, flip=True)
    tail = stored.training_batches(5, 2, start_step=start_step, flip=True)
    expected = take(whole.skip(start_step), 4)
    np.testing.assert_array_equal(take(tail, 4), expected)


def test_training_batches_are_infinite_and_have_static_shapes():
    batches = numbered(5).training_batches(2, seed=0)
    assert batches.element_spec == tf.TensorSpec((2, 1), tf.float32)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def test_dequantisation_adds_uniform_noise_within_the_grey_level():
    num_levels, size = 17, 20_000
    levels = np.random.default_rng(0).integers(0, num_levels, (size, 1))
    stored = array_examples(levels.astype(np.uint8), num_levels)
    [noisy] = take(stored.training_batches(size, seed=4), 1)
    clean = take(stored.training_batches(size, 4, dequantize=False), 1)[0]
    noise = noisy * num_levels - np.round(clean * (num_levels - 1))
    assert noise.min() > -1e-5
    assert noise.max() < 1 + 1e-5
    assert scipy.stats.kstest(noise.ravel(), "uniform").pvalue > 1e-6
    correlation = scipy.stats.pearsonr(noise.ravel(), clean.ravel()).statistic
    assert abs(correlation) * np.sqrt(size) < 5


def test_dequantisation_noise_is_new_for_every_step_and_pixel():
    stored = array_examples(np.zeros((2, 3, 3, 1), np.uint8), 256)
    values = np.ravel(take(stored.training_batches(2, seed=0), 50))
    assert len(np.unique(values)) > 0.999 * values.size


def test_data_that_are_not_quantised_get_no_noise():
    batches = numbered(8).training_batches(8, seed=0, dequantize=True)
    np.testing.assert_array_equal(
        np.sort(take(batches, 1)[0][:, 0]), np.arange(8)
    )


def test_flips_mirror_half_of_the_images_horizontally():
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 3, 2)
    stored = array_examples(np.repeat(image, 100, axis=0))
    batches = stored.training_batches(100, 7, flip=True)
    flipped = np.concatenate(take(batches, 40))
    mirrored = np.all(flipped == image[:, :, ::-1], axis=(1, 2, 3))
    same = np.all(flipped == image, axis=(1, 2, 3))
    np.testing.assert_array_equal(mirrored, ~same)
    assert abs(mirrored.sum() - 2_000) / np.sqrt(1_000) < 5
    # Not one coin for a whole batch.
    assert (mirrored.reshape(40, 100).mean(axis=1) < 1).all()


def test_evaluation_batches_are_neither_noisy_nor_flipped():
    images = np.random.default_rng(1).integers(0, 256, (50, 2, 3, 1))
    stored = array_examples(images.astype(np.uint8), 256)
    seen = np.concatenate(list(stored.batches(8).as_numpy_iterator()))
    np.testing.assert_allclose(seen * 255, images, atol=1e-4)


def test_splits_are_random_disjoint_and_complete():
    parts = task.split_indices(100, (10, 20), seed=3)
    assert [len(part) for part in parts] == [70, 10, 20]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), range(100))
    for first, second in itertools.combinations(parts, 2):
        assert not set(first) & set(second)
    again = task.split_indices(100, (10, 20), seed=3)
    other = task.split_indices(100, (10, 20), seed=4)
    for part, same, different in zip(parts, again, other, strict=True):
        np.testing.assert_array_equal(part, same)
        assert not np.array_equal(part, different)
    # Random, not the head or the tail of the file: mean rank of the pieces.
    z = (np.mean(parts[2]) - 49.5) / (100 / np.sqrt(12 * 20))
    assert abs(z) < 5


@pytest.mark.parametrize(
    "part", ["validation", "test", "selection", "outliers"]
)
def test_a_task_refuses_examples_of_another_shape(part):
    equal = {name: numbered(3) for name in ("train", "validation", "test")}
    other = array_examples(np.zeros((3, 2), np.float32), name="others")
    odd = {"odd": other} if part in ("selection", "outliers") else other
    task.Task("task", **equal)
    with pytest.raises(
        ValueError,
        match=r"task: others has examples of shape \(2,\), but test has \(1,\)",
    ):
        task.Task("task", **equal | {part: odd})
