"""Tests of nae_tf/data/digits.py."""

import numpy as np
import pytest
import sklearn.datasets

from nae_tf.data import digits


def images(examples):
    batches = list(examples.batches(500).as_numpy_iterator())
    return np.round(np.concatenate(batches) * 16).astype(int)


def rows(array):
    return sorted(map(tuple, array.reshape(len(array), -1)))


@pytest.mark.parametrize("held_out_class", [9, 0])
def test_splits_are_the_images_of_the_other_classes(held_out_class):
    bundle = sklearn.datasets.load_digits()
    task = digits.digits_holdout(held_out_class)
    inliers = np.concatenate(
        [images(split) for split in (task.train, task.validation, task.test)]
    )
    kept = bundle.target != held_out_class
    assert rows(inliers) == rows(bundle.images[kept].astype(int))
    [(name, outliers)] = task.outliers.items()
    assert name == f"digit {held_out_class}"
    assert rows(images(outliers)) == rows(bundle.images[~kept].astype(int))


def test_counts_are_those_of_the_docstring():
    task = digits.digits_holdout(held_out_class=9)
    assert task.example_shape == (8, 8, 1)
    assert task.train.num_levels == 17
    assert [
        task.train.size,
        task.validation.size,
        task.test.size,
        task.outliers["digit 9"].size,
    ] == [1_132, 162, 323, 180]


def test_values_are_sixteenths():
    [batch] = digits.digits_holdout().test.batches(323)
    levels = np.unique(batch.numpy()) * 16
    np.testing.assert_allclose(levels, np.arange(17), atol=1e-5)


def test_the_split_depends_on_its_seed():
    first, again, other = (
        images(digits.digits_holdout(9, split_seed=seed).test)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_selection_looks_at_constant_gray_images():
    task = digits.digits_holdout()
    [batch] = task.selection["constant_gray"].batches(4_000)
    assert batch.shape == (4_000, 8, 8, 1)
    assert (np.ptp(batch.numpy(), axis=(1, 2, 3)) == 0).all()


def test_selection_looks_at_chimeras_of_validation_digits():
    task = digits.digits_holdout(held_out_class=4)
    validation = images(task.validation).repeat(10, axis=0)
    chimeras = images(task.selection["chimera"])
    np.testing.assert_array_equal(chimeras[:, :4], validation[:, :4])
    lower_halves = {half.tobytes() for half in validation[:, 4:]}
    assert {half.tobytes() for half in chimeras[:, 4:]} <= lower_halves
    digits_by_image = {
        image.astype(int).tobytes(): label
        for image, label in zip(
            *sklearn.datasets.load_digits(return_X_y=True), strict=True
        )
    }
    upper = [digits_by_image[image.tobytes()] for image in validation]
    lower_digits: dict[bytes, set] = {}
    for image, label in zip(validation, upper, strict=True):
        lower_digits.setdefault(image[4:].tobytes(), set()).add(label)
    same = [
        lower_digits[half.tobytes()] == {label}
        for half, label in zip(chimeras[:, 4:], upper, strict=True)
    ]
    assert not any(same)
    assert not np.array_equal(chimeras, validation)
