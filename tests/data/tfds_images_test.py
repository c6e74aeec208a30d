"""Tests of nae_tf/data/tfds_images.py on made-up sets and on the real ones.

The real sets are read from NAE_TF_DATA_DIR, a data_dir of tensorflow-datasets.
"""

import os

import numpy as np
import pytest
from data_files import random_images

from nae_tf.data import image_arrays, sources, tfds_files, tfds_images


def read(*args, **kwargs):
    """Grey levels of one split."""
    return sources.to_array(
        tfds_images.image_examples(*args, **kwargs).stored()
    )


def need(name, split="test"):
    """Skip a test where the real data set is not on disk."""
    if not os.environ.get("NAE_TF_DATA_DIR"):
        pytest.skip("NAE_TF_DATA_DIR is not set")
    try:
        tfds_images.image_examples(name, split)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def hashes(images):
    return {image.tobytes() for image in images}


# Reading, on small sets in the formats of the real ones.


def mnist_like(size, seed):
    images = random_images(size, 28, 28, 1, seed=seed)
    return [
        {"image": image, "label": index % 10}
        for index, image in enumerate(images)
    ]


@pytest.fixture
def small_mnist(small_sets, monkeypatch):
    small_sets("mnist", train=mnist_like(60, 1), test=mnist_like(20, 2))
    small = tfds_images.ImageSet(
        "mnist", (28, 28, 1), {"train": "train", "test": "test"}, "", 6, 10
    )
    monkeypatch.setitem(tfds_images.IMAGE_SETS, "mnist", small)


@pytest.mark.parametrize("max_bytes", [2**30, 100])
def test_train_and_validation_share_the_training_file(
    small_mnist, monkeypatch, max_bytes
):
    monkeypatch.setattr(sources, "MAX_BYTES_IN_MEMORY", max_bytes)
    train, validation = read("mnist", "train"), read("mnist", "validation")
    assert len(train) == 54
    assert len(validation) == 6
    everything = hashes(random_images(60, 28, 28, 1, seed=1))
    assert hashes(train) | hashes(validation) == everything
    assert not hashes(train) & hashes(validation)
    other = read("mnist", "validation", split_seed=1)
    assert hashes(other) != hashes(validation)


def test_test_images_come_in_file_order_over_all_shards(small_mnist):
    np.testing.assert_array_equal(
        read("mnist", "test"), random_images(20, 28, 28, 1, seed=2)
    )


def test_classes_select_images_by_label(small_mnist):
    images = random_images(20, 28, 28, 1, seed=2)
    np.testing.assert_array_equal(
        read("mnist", "test", classes={3, 5}), images[[3, 5, 13, 15]]
    )
    np.testing.assert_array_equal(
        tfds_images.read_labels("mnist", "test"), np.arange(20) % 10
    )


def test_celeba_is_cropped_to_140_pixels_before_resizing(small_sets):
    # A white frame of exactly the pixels that the crop must remove.
    photo = np.zeros((218, 178, 3), np.uint8)
    photo[39:-39, 19:-19] = 255
    features = tfds_features("celeba")
    face = {
        "image": 255 - photo,
        "attributes": dict.fromkeys(features["attributes"].keys(), False),
        "identity": {"Identity_No": 0},
        "landmarks": dict.fromkeys(features["landmarks"].keys(), 0),
    }
    small_sets("celeba", train=[face], validation=[face], test=[face])
    [cropped] = read("celeba", "test")
    assert cropped.shape == (140, 140, 3)
    assert cropped.max() < 30  # Stored as JPEG: the edge rings a little.
    [small] = read("celeba", "validation", (64, 64, 3))
    np.testing.assert_array_equal(
        small, image_arrays.resize_images(cropped, (64, 64, 3))
    )


def tfds_features(name):
    tfds = tfds_files.import_tfds()
    return tfds.builder(tfds_images.IMAGE_SETS[name].tfds_name).info.features


def test_imagenet32_tests_on_the_validation_file(small_sets, monkeypatch):
    train, validation = random_images(9, 32, 32, 3), random_images(3, 32, 32, 3)
    small_sets(
        "imagenet32",
        train=[{"image": image} for image in train],
        validation=[{"image": image} for image in validation],
    )
    assert tfds_images.image_examples("imagenet32", "test").size == 3


# Errors.


def test_asking_for_a_set_that_is_not_on_disk_writes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        tfds_images.image_examples("celeba", "train", data_dir=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# The real data sets.


@pytest.mark.parametrize(
    ("name", "train", "validation", "test"),
    [
        ("mnist", 54_000, 6_000, 10_000),
        ("fashion_mnist", 54_000, 6_000, 10_000),
        ("cifar10", 45_000, 5_000, 10_000),
        ("svhn", 65_930, 7_327, 26_032),
        ("celeba", 162_770, 19_867, 19_962),
        ("imagenet32", 1_024_919, 256_230, 49_999),
    ],
)
def test_real_split_sizes_are_those_of_table_9(name, train, validation, test):
    for split, size in [
        ("train", train),
        ("validation", validation),
        ("test", test),
    ]:
        need(name, split)
        assert tfds_images.image_examples(name, split).size == size


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("mnist", [0.1307], [0.3081]),
        ("fashion_mnist", [0.2860], [0.3530]),
        ("cifar10", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ],
)
def test_real_pixels_have_the_published_statistics(name, mean, std):
    need(name, "train")
    images = np.concatenate([read(name, "train"), read(name, "validation")])
    levels = np.arange(256) / 255
    for channel, (channel_mean, channel_std) in enumerate(
        zip(mean, std, strict=True)
    ):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        actual = np.average(levels, weights=counts)
        variance = np.average((levels - actual) ** 2, weights=counts)
        np.testing.assert_allclose(actual, channel_mean, atol=6e-5)
        np.testing.assert_allclose(np.sqrt(variance), channel_std, atol=6e-5)


def test_real_omniglot_is_white_ink_on_black():
    need("omniglot")
    images = read("omniglot", "test", (28, 28, 1))
    assert images.shape == (13_180, 28, 28, 1)
    assert 0.05 < images.mean() / 255 < 0.12
    full = tfds_images.image_examples("omniglot", "test")
    [batch] = full.batches(100).take(1)
    assert set(np.unique(batch)) == {0.0, 1.0}
