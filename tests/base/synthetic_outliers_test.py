"""Made outliers keep one thing of the inliers, and break another."""

import numpy as np
import pytest

from nae_tf.base.synthetic_outliers import synthetic_outliers

# Value 100 i + p at pixel or feature p of example i: all are told apart.
ROWS = 100.0 * np.arange(40)[:, None] + np.arange(16.0)
IMAGES = ROWS.reshape([40, 4, 2, 2])


def owners(values):
    """Examples that values come from."""
    return (values // 100).astype(int)


def test_a_chimera_has_halves_of_two_images():
    chimeras = synthetic_outliers(IMAGES)["chimeras"]
    np.testing.assert_array_equal(chimeras % 100, IMAGES % 100)
    upper, lower = owners(chimeras[:, :2]), owners(chimeras[:, 2:])
    for index in range(40):
        assert set(upper[index].flat) == {index}
        [partner] = set(lower[index].flat)
        assert partner != index


def test_images_upside_down_keep_left_and_right():
    upside_down = synthetic_outliers(IMAGES)["upside-down"]
    np.testing.assert_array_equal(upside_down[:, 0], IMAGES[:, 3])
    np.testing.assert_array_equal(upside_down[:, 2], IMAGES[:, 1])


def test_shuffled_images_keep_their_pixels():
    shuffled = synthetic_outliers(IMAGES)["shuffled"].reshape([40, 8, 2])
    pixels = IMAGES.reshape([40, 8, 2])
    assert (np.sort(shuffled, axis=1) == pixels).all()
    # Channels of a pixel stay together, and images have orders of their own.
    assert (shuffled[..., 1] - shuffled[..., 0] == 1).all()
    assert len({tuple(image) for image in shuffled[..., 0] % 100}) > 30


def test_half_of_the_features_are_from_one_other_row():
    swapped = synthetic_outliers(ROWS)["half-swapped"]
    np.testing.assert_array_equal(swapped % 100, ROWS % 100)
    for index, row in enumerate(owners(swapped)):
        assert (row != index).sum() == 8
        assert len(set(row)) == 2


def test_permuted_features_keep_their_distributions_alone():
    rng = np.random.default_rng(0)
    rows = np.array([0, 5, 9]) + rng.normal(size=[10_000, 1])
    permuted = synthetic_outliers(rows)["permuted"]
    np.testing.assert_array_equal(np.sort(permuted, 0), np.sort(rows, 0))
    correlation = np.corrcoef(permuted.T)[np.triu_indices(3, 1)]
    # That of independent columns has a standard deviation of 1 / 100.
    assert (abs(correlation) < 0.05).all()


def test_noise_fills_the_range_of_every_feature():
    rows = np.array([[0.0, -8.0], [4.0, -4.0], [1.0, -5.0]] * 2_000)
    noise = synthetic_outliers(rows)["noise"]
    # The mean of a uniform distribution of width 4 over 6,000 rows has a
    # standard deviation of 4 / sqrt(12 * 6,000) = 0.015.
    assert (abs(noise.mean(0) - [2.0, -6.0]) < 5 * 0.015).all()
    assert (noise.min(0) >= [0, -8]).all() and (noise.max(0) <= [4, -4]).all()


@pytest.mark.parametrize("inliers", [ROWS, IMAGES, ROWS.reshape([40, 4, 4])])
def test_outliers_depend_on_the_seed_alone(inliers):
    inliers = inliers.astype(np.float32)
    first, same, other = map(synthetic_outliers, [inliers] * 3, [1, 1, 2])
    for name, outliers in first.items():
        assert outliers.shape == inliers.shape
        assert outliers.dtype == inliers.dtype
        np.testing.assert_array_equal(outliers, same[name])
    assert any((first[name] != other[name]).any() for name in first)


def test_the_inliers_stay_as_they_are():
    images, rows = IMAGES.copy(), ROWS.copy()
    for outliers in synthetic_outliers(images).values():
        outliers[:] = 0
    synthetic_outliers(rows)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(rows, ROWS)


def test_one_example_has_no_other_to_mix_with():
    with pytest.raises(ValueError, match=r"at least two inliers .* received 1"):
        synthetic_outliers(ROWS[:1])
