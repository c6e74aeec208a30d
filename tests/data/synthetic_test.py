"""Tests of nae_tf/data/synthetic.py."""

import numpy as np
import pytest
import scipy.stats

from nae_tf.data import synthetic


def rng(seed=0):
    return np.random.default_rng(seed)


def uniform_pvalue(levels):
    counts = np.bincount(np.ravel(levels), minlength=256)
    assert len(counts) == 256
    return scipy.stats.chisquare(counts).pvalue


def test_constant_images_have_one_uniform_colour_each():
    images = synthetic.constant_images(rng(), 20_000, (3, 2, 3))
    assert images.dtype == np.uint8
    assert images.shape == (20_000, 3, 2, 3)
    assert (images == images[:, :1, :1]).all()
    colors = images[:, 0, 0]
    assert uniform_pvalue(colors) > 1e-6
    correlation = scipy.stats.pearsonr(colors[:, 0], colors[:, 1]).statistic
    assert abs(correlation) * np.sqrt(20_000) < 5


def test_constant_gray_images_have_one_uniform_grey_value_each():
    images = synthetic.constant_gray_images(rng(), 20_000, (3, 2, 3))
    assert images.dtype == np.uint8
    assert images.shape == (20_000, 3, 2, 3)
    assert (images == images[:, :1, :1, :1]).all()
    assert uniform_pvalue(images[:, 0, 0, 0]) > 1e-6


def test_noise_images_have_independent_uniform_values():
    images = synthetic.noise_images(rng(), 5_000, (2, 2, 3))
    assert images.dtype == np.uint8
    values = images.reshape(5_000, 12)
    assert uniform_pvalue(values) > 1e-6
    correlations = np.corrcoef(values, rowvar=False) - np.eye(12)
    assert np.abs(correlations).max() * np.sqrt(5_000) < 5.5


def test_half_images_lose_the_upper_or_the_lower_half_at_random():
    images = rng().integers(1, 256, (4_000, 28, 28, 1)).astype(np.uint8)
    halves = synthetic.half_images(rng(1), images)
    upper_lost = (halves[:, :14] == 0).all(axis=(1, 2, 3))
    lower_lost = (halves[:, 14:] == 0).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(upper_lost, ~lower_lost)
    np.testing.assert_array_equal(
        halves[upper_lost, 14:], images[upper_lost, 14:]
    )
    np.testing.assert_array_equal(
        halves[lower_lost, :14], images[lower_lost, :14]
    )
    assert abs(upper_lost.sum() - 2_000) / np.sqrt(1_000) < 5
    # Not in turn, as the authors' code does.
    changes = np.sum(upper_lost[1:] != upper_lost[:-1])
    assert abs(changes - 2_000) / np.sqrt(1_000) < 5


def test_chimera_images_join_halves_of_two_different_classes():
    labels = rng().integers(0, 10, 3_000)
    # Each pixel tells which image it comes from, in two channels.
    index = np.arange(3_000)
    images = np.zeros((3_000, 28, 28, 2), np.uint8)
    images[..., 0] = (index // 256)[:, None, None] + 1
    images[..., 1] = (index % 256)[:, None, None]
    chimeras = synthetic.chimera_images(rng(1), images, labels).astype(int)
    assert (chimeras[:, 11:17] == 0).all()
    np.testing.assert_array_equal(chimeras[:, :11], images[:, :11])
    lower = chimeras[:, 17:]
    assert (lower == lower[:, :1, :1]).all()
    partner = (lower[:, 0, 0, 0] - 1) * 256 + lower[:, 0, 0, 1]
    assert (labels[partner] != labels).all()
    # Random partners, not the next image of another class.
    assert scipy.stats.kstest(partner / 3_000, "uniform").pvalue > 1e-6
    offsets = (partner - index) % 3_000
    assert scipy.stats.kstest(offsets / 3_000, "uniform").pvalue > 1e-6


@pytest.mark.parametrize(
    "make", [synthetic.constant, synthetic.constant_gray, synthetic.noise]
)
def test_splits_have_4000_images_that_differ_and_can_be_repeated(make):
    def read(**arguments):
        examples = make((4, 4, 3), **arguments)
        assert examples.size == 4_000
        assert examples.shape == (4, 4, 3)
        assert examples.num_levels == 256
        return np.concatenate(list(examples.batches(4_000)))

    test = read(split="test")
    assert test.dtype == np.float32
    assert test.min() == 0.0
    assert test.max() == 1.0
    np.testing.assert_allclose(test * 255, np.round(test * 255), atol=1e-4)
    np.testing.assert_array_equal(test, read())
    assert not np.array_equal(test, read(split="validation"))
    assert not np.array_equal(test, read(split="test", seed=1))
