"""Tests of nae_tf/data/sources.py."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.data import sources
from nae_tf.data.shared_memory import as_tensor


def file_stream(indices):
    """A file whose example at position i is the number i."""
    return tf.data.Dataset.from_tensor_slices(
        np.asarray(indices, np.float32)[:, None]
    )


def streamed(size, shuffle_buffer):
    return sources.StreamedExamples(
        "streamed",
        size,
        (1,),
        None,
        lambda: file_stream(np.arange(size)),
        shuffle_buffer,
    )


def normal_samples(num_samples, seed):
    return randomness.normal([num_samples, 2], seed, tf.float32)


def sampled(size=6, evaluation_seed=0):
    return sources.SampledExamples(
        "sampled", size, (2,), None, normal_samples, evaluation_seed
    )


def take(dataset, num_batches):
    return list(dataset.take(num_batches).as_numpy_iterator())


def test_an_array_is_read_once_and_only_when_used():
    calls = []

    def read():
        calls.append(1)
        return np.zeros((4, 1), np.float32)

    lazy = sources.ArrayExamples("lazy", 4, (1,), None, read)
    assert not calls
    assert lazy.size == 4
    take(lazy.batches(2), 1)
    take(lazy.training_batches(2, seed=0), 1)
    assert len(calls) == 1


@pytest.mark.parametrize("shuffle_buffer", [3, 100])
def test_streams_show_every_example_once_an_epoch(shuffle_buffer):
    batches = streamed(11, shuffle_buffer).training_batches(4, seed=0)
    order = np.concatenate(take(batches, 11)).reshape(4, 11)
    np.testing.assert_array_equal(np.sort(order), [np.arange(11)] * 4)
    assert len({tuple(epoch) for epoch in order}) == 4


def test_streams_are_shuffled_through_a_buffer():
    batches = streamed(100, 10).training_batches(100, seed=0)
    order = take(batches, 1)[0][:, 0]
    assert not np.array_equal(order, np.arange(100))
    # An example comes out at most 9 places before its turn.
    assert (order - np.arange(100)).max() <= 9


@pytest.mark.parametrize("make", [lambda: streamed(11, 5), sampled])
@pytest.mark.parametrize("start_step", [0, 2, 3, 7])
def test_start_step_gives_the_tail_of_the_sequence(make, start_step):
    whole = make().training_batches(4, seed=9)
    tail = make().training_batches(4, seed=9, start_step=start_step)
    np.testing.assert_array_equal(
        take(tail, 5), take(whole.skip(start_step), 5)
    )
    other_seed = make().training_batches(4, seed=8, start_step=start_step)
    assert not np.array_equal(take(tail, 5), take(other_seed, 5))


@pytest.mark.parametrize("make", [lambda: streamed(11, 5), sampled])
def test_training_batches_are_infinite_and_have_static_shapes(make):
    batches = make().training_batches(4, seed=0)
    assert batches.element_spec.shape == (4, *make().shape)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def graphs():
    """Number of TensorFlow's graphs of functions in this process."""
    gc.collect()
    return sum(
        isinstance(thing, tf.__internal__.FuncGraph)
        for thing in gc.get_objects()
    )


@pytest.mark.parametrize("make", [sampled, lambda: streamed(11, 3)])
def test_training_batches_leave_no_graph_behind(make):
    def use():
        take(make().training_batches(4, seed=0), 1)

    use()
    before = graphs()
    use()
    assert graphs() == before


def test_order_does_not_depend_on_the_global_seed():
    orders = []
    for global_seed in (0, 1):
        tf.random.set_seed(global_seed)
        orders.append(take(streamed(50, 20).training_batches(50, seed=0), 2))
        global_draw = tf.random.uniform([])
        tf.random.set_seed(global_seed)
        assert global_draw == tf.random.uniform([])
    np.testing.assert_array_equal(*orders)


def test_streams_know_their_size():
    assert streamed(11, 5).stored().cardinality() == 11
    order = take(streamed(11, 5).batches(1), 11)
    np.testing.assert_array_equal(np.ravel(order), np.arange(11))


def test_training_samples_are_fresh_and_evaluation_samples_fixed():
    training = np.concatenate(take(sampled().training_batches(6, seed=0), 9))
    assert len(np.unique(training)) == training.size
    first, second = (
        np.concatenate(take(sampled().batches(4), 2)) for _ in "ab"
    )
    np.testing.assert_array_equal(first, second)
    assert first.shape == (6, 2)
    other = np.concatenate(take(sampled(evaluation_seed=1).batches(4), 2))
    assert not np.intersect1d(first, other).size
    assert not np.intersect1d(first, training).size


@pytest.mark.parametrize(
    ("max_bytes", "kind"),
    [(24, sources.ArrayExamples), (23, sources.StreamedExamples)],
)
def test_small_files_are_held_in_memory_and_large_ones_streamed(
    monkeypatch, max_bytes, kind
):
    monkeypatch.setattr(sources, "MAX_BYTES_IN_MEMORY", max_bytes)
    indices = np.array([0, 2, 3, 5, 8, 9])
    made = sources.from_indices("file", (1,), None, indices, file_stream)
    assert type(made) is kind
    assert made.size == 6
    np.testing.assert_array_equal(
        np.concatenate(list(made.batches(4).as_numpy_iterator()))[:, 0],
        indices,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_sets_of_one_array_have_its_rows(dtype):
    """The values of a set are those of NumPy, shuffled or not."""
    rows = np.arange(40).reshape(20, 2).astype(dtype)
    positions = np.array([0, 3, 4, 11, 19])
    chosen = sources.ArrayExamples(
        "some", 5, (2,), None, lambda: as_tensor(rows), positions
    )
    copied = sources.ArrayExamples(
        "copied", 5, (2,), None, lambda: rows[positions]
    )
    np.testing.assert_array_equal(chosen.array, rows[positions])
    np.testing.assert_array_equal(chosen.at([1, 4]), rows[[3, 19]])
    np.testing.assert_array_equal(
        sources.to_array(chosen.stored()), rows[positions]
    )
    assert chosen.stored().cardinality() == 5
    for start_step in (0, 3):
        batches, expected = (
            take(some.training_batches(2, 0, start_step), 9)
            for some in (chosen, copied)
        )
        np.testing.assert_array_equal(batches, expected)
    epochs = np.concatenate(take(chosen.training_batches(5, seed=1), 2))
    for epoch in np.split(epochs, 2):
        np.testing.assert_array_equal(
            epoch[np.argsort(epoch[:, 0])], rows[positions]
        )


def test_rows_of_another_shape_are_refused():
    wrong = sources.ArrayExamples(
        "some", 1, (3,), None, lambda: np.zeros((4, 2)), np.array([1])
    )
    with pytest.raises(ValueError, match=r"shape \(4, 3\), received \(4, 2\)"):
        wrong.stored()
