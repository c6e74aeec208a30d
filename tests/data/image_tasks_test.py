"""Tests of nae_tf/data/image_tasks.py; most need sets in NAE_TF_DATA_DIR."""

import functools
import os

import gin
import numpy as np
import pytest
from image_set_stand_in import stand_in

from nae_tf.data import image_tasks, sources, tfds_images


@pytest.fixture
def real():
    """Make a task or skip the test where its data are not on disk."""
    if not os.environ.get("NAE_TF_DATA_DIR"):
        pytest.skip("NAE_TF_DATA_DIR is not set")

    def make(factory, *args, **kwargs):
        try:
            return factory(*args, **kwargs)
        except FileNotFoundError as error:
            pytest.skip(str(error))

    return make


def grey_levels(split):
    return sources.to_array(split.stored())


@functools.cache
def mnist_file(tfds_split):
    """Images of a whole MNIST file by label, not read by nae_tf."""
    import tensorflow_datasets as tfds

    records = tfds.load(
        "mnist",
        split=tfds_split,
        data_dir=os.environ["NAE_TF_DATA_DIR"],
        download=False,
        batch_size=-1,
    )
    images, labels = records["image"].numpy(), records["label"].numpy()
    return {label: images[labels == label] for label in range(10)}


def hashes(images):
    return {image.tobytes() for image in images}


def test_mnist_holdout_keeps_the_held_out_digit_out_of_everything(real):
    task = real(image_tasks.mnist_holdout, 4)
    train, validation, test = (
        hashes(grey_levels(split))
        for split in (task.train, task.validation, task.test)
    )
    [outliers] = task.outliers.values()
    train_file, test_file = mnist_file("train"), mnist_file("test")
    others = [digit for digit in range(10) if digit != 4]
    # MNIST has no duplicate images, neither in a file nor across files.
    assert train | validation == set.union(
        *(hashes(train_file[digit]) for digit in others)
    )
    assert test == set.union(*(hashes(test_file[digit]) for digit in others))
    assert hashes(grey_levels(outliers)) == hashes(test_file[4])
    assert not train & validation
    assert not (train | validation) & test
    assert [task.train.size, task.validation.size] == [
        len(train),
        len(validation),
    ]
    assert task.test.size == 10_000 - 982
    assert outliers.size == 982
    # 54,000 : 6,000 before the class is removed.
    share = len(validation) / (len(train) + len(validation))
    deviation = np.sqrt(0.1 * 0.9 / (len(train) + len(validation)))
    assert abs(share - 0.1) / deviation < 5
    assert [split.name for split in task.selection.values()] == ["ConstantGray"]


def test_classes_to_select_by_are_of_the_validation_split(real):
    task = real(image_tasks.class_selection, "mnist", [7, 5], [1, 9])
    holdout = image_tasks.mnist_holdout(9)
    file = {
        label: hashes(images) for label, images in mnist_file("train").items()
    }
    kept = set.union(*(file[label] for label in (0, 2, 3, 4, 6, 8)))
    train, validation = (
        hashes(grey_levels(split)) for split in (task.train, task.validation)
    )
    assert train | validation == kept
    assert not train & validation
    # The split is that of the tables' trainings.
    assert train == hashes(grey_levels(holdout.train)) & kept
    assert hashes(grey_levels(task.test)) == validation
    assert list(task.outliers) == ["mnist 7, validation", "mnist 5, validation"]
    for label, outliers in zip((7, 5), task.outliers.values(), strict=True):
        images = hashes(grey_levels(outliers))
        assert images == hashes(grey_levels(holdout.validation)) & file[label]
    assert [split.name for split in task.selection.values()] == ["ConstantGray"]


@pytest.mark.parametrize(
    ("judged", "left_out", "message"),
    [
        ([], [9], "one judged class or more"),
        ([5], [0, 1, 2, 3, 4, 6, 7, 8, 9], "one inlier class or more"),
        ([5, 7], [7], "expected every class once"),
        ([10], [], "judged_classes"),
        ([5], [-1], "left_out_classes"),
    ],
)
def test_classes_that_cannot_be_selected_by_are_refused(
    judged, left_out, message
):
    with pytest.raises(ValueError, match=message) as caught:
        image_tasks.class_selection("mnist", judged, left_out)
    assert "\n" not in str(caught.value)


def test_cifar10_splits_share_no_image(real):
    task = real(
        image_tasks.out_of_distribution, "cifar10", ["noise"], ["mnist_padded"]
    )
    train, validation, test = (
        hashes(grey_levels(split))
        for split in (task.train, task.validation, task.test)
    )
    # CIFAR-10 has near duplicates, but no two images are equal.
    assert [len(train), len(validation), len(test)] == [45_000, 5_000, 10_000]
    assert not train & validation
    assert not (train | validation) & test


def test_selection_uses_validation_images_and_the_table_test_images(real):
    task = real(
        image_tasks.out_of_distribution,
        "cifar10",
        ["mnist", "constant_gray"],
        ["mnist_padded", "constant_gray"],
    )
    padded = grey_levels(task.selection["mnist_padded"])
    assert padded.shape == (6_000, 32, 32, 3)
    validation = grey_levels(tfds_images.image_examples("mnist", "validation"))
    np.testing.assert_array_equal(
        padded[:, 2:30, 2:30], validation.repeat(3, axis=-1)
    )
    assert task.outliers["mnist"].size == 10_000
    selected, tested = (
        grey_levels(group["constant_gray"])
        for group in (task.selection, task.outliers)
    )
    assert not np.array_equal(selected, tested)


def test_half_and_chimera_images_are_made_of_mnist_test_images(real):
    task = real(
        image_tasks.out_of_distribution,
        "mnist",
        ["half_mnist", "chimera_mnist"],
        ["constant_gray"],
    )
    digits = grey_levels(task.test)
    half = grey_levels(task.outliers["half_mnist"])
    assert half.shape == (10_000, 28, 28, 1)
    kept_upper = (half[:, :14] == digits[:, :14]).all(axis=(1, 2, 3))
    kept_lower = (half[:, 14:] == digits[:, 14:]).all(axis=(1, 2, 3))
    assert (kept_upper | kept_lower).all()
    assert not (kept_upper & kept_lower).any()
    chimeras = grey_levels(task.outliers["chimera_mnist"])
    labels = tfds_images.read_labels("mnist", "test")
    np.testing.assert_array_equal(chimeras[:, :11], digits[:, :11])
    assert not chimeras[:, 11:17].any()
    lower_of = {
        image.tobytes(): label
        for image, label in zip(digits[:, 17:], labels, strict=True)
    }
    # A few lower parts belong to two images; none to one of the wrong class.
    partners = [lower_of[image.tobytes()] for image in chimeras[:, 17:]]
    assert np.mean(partners == labels) < 0.001


@pytest.mark.parametrize(
    "name", ["constant", "constant_gray", "noise", "svhn", "omniglot", "mnist"]
)
def test_outliers_of_cifar10_have_its_shape_and_range(real, name):
    outliers = real(image_tasks.outlier_examples, name, "test", (32, 32, 3))
    batch = next(iter(outliers.batches(500))).numpy()
    assert batch.shape == (500, 32, 32, 3)
    assert batch.min() >= 0.0
    assert 0.5 < batch.max() <= 1.0


def test_a_gray_variant_keeps_the_energy_of_the_colours(small_sets):
    stored = stand_in("cifar10", 3, seed=0)
    small_sets("cifar10", test=stored)
    made = image_tasks.outlier_examples("cifar10_gray", "test", (32, 32, 3))
    colours = np.array([each["image"] for each in stored], float)
    gray = np.sqrt(np.mean(colours**2, axis=-1, keepdims=True))
    np.testing.assert_allclose(
        grey_levels(made), gray.repeat(3, axis=-1), atol=0.51
    )


def test_outliers_for_selection_follow_the_split_seed(tiny_mnist):
    def selection(split_seed):
        task = image_tasks.out_of_distribution(
            "mnist", ["noise"], ["mnist"], split_seed=split_seed
        )
        return grey_levels(task.selection["mnist"])

    first, second = selection(0), selection(1)
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, selection(0))


def test_tasks_are_built_from_gin(real):
    real(tfds_images.image_examples, "mnist", "train")
    gin.clear_config()
    try:
        gin.parse_config("mnist_holdout.held_out_class = 1")
        gin.parse_config("mnist_holdout.split_seed = 5")
        task = gin.get_configurable("mnist_holdout")()
    finally:
        gin.clear_config()
    expected = image_tasks.mnist_holdout(1, split_seed=5)
    assert list(task.outliers) == ["mnist 1"]
    assert task.train.size == expected.train.size
    assert task.train.size != image_tasks.mnist_holdout(1).train.size
