"""Training of all members: folds, steps of Adam, independence."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.tables import Displaced, folds, members, training
from nae_tf.tables.training import train, training_rows


@pytest.mark.parametrize(("rows", "count"), [(8, 4), (103, 4), (7, 3)])
def test_folds_are_as_equal_as_they_can_be(rows, count):
    fold = folds(rows, count, seed=0)
    sizes = np.bincount(fold, minlength=count)
    assert len(sizes) == count
    assert sizes.sum() == rows
    assert set(sizes) <= {rows // count, -(-rows // count)}


def test_the_seed_decides_the_folds():
    first, again, other = (folds(100, 4, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_no_row_is_left_out_of_fewer_than_two_per_member():
    np.testing.assert_array_equal(folds(7, 4, seed=0), [-1] * 7)
    rows, counts = training_rows(folds(7, 4, seed=0), 4)
    np.testing.assert_array_equal(rows, [np.arange(7)] * 4)
    np.testing.assert_array_equal(counts, [7] * 4)


def test_a_member_is_trained_on_all_folds_but_its_own():
    rows, counts = training_rows(np.array([0, 1, 1, 2, 0, 1]), 3)
    np.testing.assert_array_equal(counts, [4, 3, 5])
    expected = [[1, 2, 3, 5], [0, 3, 4], [0, 1, 2, 4, 5]]
    for row, count, numbers in zip(rows, counts, expected, strict=True):
        np.testing.assert_array_equal(row[:count], numbers)


@dataclasses.dataclass(frozen=True)
class Unmoved:
    """Negative samples that add nothing: the loss is the mean energy."""

    def draw(self, x, weights, seed):
        return x

    def loss(self, x, x_negative, positive_energy, negative_energy):
        return tf.reduce_mean(positive_energy)


# All rows are one, so that batches are known.
ROW = np.array([1.0, -2.0, 0.5], np.float32)


@pytest.mark.parametrize("steps", [2, 40])
def test_steps_are_those_of_adam_with_warm_up_and_half_a_cosine(steps):
    start = members.initial_weights(2, (3, 6, 2), seed=0)
    found = train(
        np.tile(ROW, (9, 1)),
        folds(9, 2, seed=0),
        start,
        steps,
        1e-2,
        seed=0,
        batch_size=4,
        negatives=Unmoved(),
    )
    variables = [tf.Variable(weight) for weight in start]
    adam = keras.optimizers.Adam(epsilon=1e-8)
    adam.build(variables)
    x = tf.constant(np.tile(ROW, (2, 4, 1)))

    @tf.function
    def take_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(members.energies(x, variables))
        adam.apply(tape.gradient(loss, variables))

    for step in range(1, steps + 1):
        warm_up = min(1, step / 30)
        cosine = (1 + np.cos(np.pi * step / steps)) / 2
        adam.learning_rate = 1e-2 * warm_up * cosine
        take_step()
    for weight, first, by_keras in zip(found, start, variables, strict=True):
        np.testing.assert_allclose(weight, by_keras, atol=2e-5)
        assert np.max(np.abs(weight - first)) > 1e-4


@pytest.fixture(scope="module")
def table():
    return np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)


def trained(x, fold, steps=20, negatives=None, seed=0, sizes=(3, 6, 2)):
    weights = members.initial_weights(3, sizes, seed=0)
    found = train(
        x,
        fold,
        weights,
        steps,
        1e-2,
        seed,
        batch_size=8,
        negatives=negatives,
    )
    return [weight.numpy() for weight in found]


@pytest.mark.parametrize("negatives", [None, Displaced()])
def test_a_member_never_sees_the_rows_that_it_leaves_out(table, negatives):
    fold = folds(60, 3, seed=0)
    changed = np.where(fold[:, None] == 1, 7.0, table).astype(np.float32)
    before = trained(table, fold, negatives=negatives)
    after = trained(changed, fold, negatives=negatives)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
        for seeing in (0, 2):
            assert np.max(np.abs(one[seeing] - other[seeing])) > 1e-4


def test_no_step_leaves_the_weights_as_they_are(table):
    start = members.initial_weights(3, (3, 6, 2), seed=0)
    found = trained(table, folds(60, 3, seed=0), steps=0)
    for weight, same in zip(found, start, strict=True):
        np.testing.assert_array_equal(weight, same)


def test_an_autoencoder_learns_a_line():
    generator = np.random.default_rng(0)
    x = (generator.normal(size=(60, 1)) * [[1.0, 2.0, -1.0]]).astype(np.float32)
    batch = np.tile(x, (3, 1, 1))
    fold = folds(60, 3, seed=0)
    before, after = (
        np.mean(members.energies(batch, trained(x, fold, steps)))
        for steps in (0, 200)
    )
    assert after < 0.3 * before


def test_the_seed_decides_batches_and_noise(table):
    fold = folds(60, 3, seed=0)
    first, again, other = (trained(table, fold, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_tables_of_every_width_share_one_graph(table):
    fold = folds(60, 3, seed=0)
    trained(table, fold, steps=1)
    graph = training._compiled(None)
    traces = graph.experimental_get_tracing_count()
    wider = np.concatenate([table, table], 1)[:50]
    trained(wider, folds(50, 3, seed=0), steps=2, sizes=(6, 5, 4))
    assert training._compiled(None) is graph
    assert graph.experimental_get_tracing_count() == traces == 1
