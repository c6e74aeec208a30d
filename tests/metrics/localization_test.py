"""Pixel AUROC and AUPRO against other libraries and against closed forms."""

import numpy as np
import pytest
import scipy.ndimage
from sklearn.metrics import roc_auc_score, roc_curve

from nae_tf.metrics import aupro, localization_counts, pixel_auroc


def regions(mask):
    """Pixels of every region, by flooding from one pixel after the other."""
    left = {tuple(place) for place in np.argwhere(mask)}
    while left:
        region, edge = set(), {left.pop()}
        while edge:
            region |= edge
            near = {
                (y + dy, x + dx)
                for y, x in edge
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            }
            edge = near & left
            left -= edge
        yield tuple(np.array(sorted(region)).T)


def aupro_by_definition(maps, masks, limit):
    """AUPRO threshold by threshold, as Bergmann et al. write it."""
    outside = np.concatenate([m[~k] for m, k in zip(maps, masks, strict=True)])
    inside = [
        errors[region]
        for errors, mask in zip(maps, masks, strict=True)
        for region in regions(mask)
    ]
    points = [(0.0, 0.0)]
    for t in np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]:
        overlap = np.mean([np.mean(errors >= t) for errors in inside])
        points.append((np.mean(outside >= t), overlap))
    x, y = np.array(points).T
    # Many narrow pieces of the piecewise linear curve, by its middle points.
    # Where it is vertical, the points in the middle miss it.
    edges = np.linspace(0, limit, 400_001)
    return np.interp((edges[1:] + edges[:-1]) / 2, x, y).mean()


def draw(seed, num_levels=40):
    rng = np.random.default_rng(seed)
    masks = [
        scipy.ndimage.binary_dilation(rng.random(shape) < 0.02)
        for shape in [(20, 31), (17, 12), (9, 9)]
    ]
    masks.append(np.zeros((10, 14), bool))  # An inlier.
    maps = [
        np.round((rng.random(mask.shape) + 0.7 * mask) * num_levels)
        for mask in masks
    ]
    return maps, masks


@pytest.mark.parametrize("seed", range(3))
def test_pixel_auroc_is_that_of_scikit_learn(seed):
    maps, masks = draw(seed)
    flat = [np.concatenate([x.ravel() for x in some]) for some in (masks, maps)]
    counts = localization_counts(maps, masks)
    assert pixel_auroc(counts) == pytest.approx(roc_auc_score(*flat), abs=1e-12)
    fpr, tpr, _ = roc_curve(*flat, drop_intermediate=False)
    ours = counts.false_alarms / counts.false_alarms[-1]
    # The last point of ours is a threshold below all errors.
    np.testing.assert_allclose(ours[:-1], fpr)
    np.testing.assert_allclose(counts.detected[:-1] / counts.detected[-1], tpr)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_aupro_is_its_definition(seed, limit):
    maps, masks = draw(seed)
    counts = localization_counts(maps, masks)
    assert counts.num_regions == sum(len(list(regions(m))) for m in masks)
    expected = aupro_by_definition(maps, masks, limit)
    assert aupro(counts, limit) == pytest.approx(expected, abs=1e-4)


def test_every_region_counts_alike_whatever_its_size():
    mask = np.zeros((10, 10), bool)
    mask[:5, :5] = True
    mask[9, 9] = True
    found = np.zeros((10, 10))
    found[9, 9] = 1.0  # The small one alone, without a false alarm.
    counts = localization_counts([found], [mask])
    # From (0, 1/2), the line to (1, 1), up to 0.3: its mean height.
    assert aupro(counts) == pytest.approx(0.5 + 0.5 * 0.3 / 2)
    # 1 of 26 pixels is found, the others are ties with those outside.
    assert pixel_auroc(counts) == pytest.approx(1 / 26 + 25 / 26 / 2)


def test_pixels_that_share_a_corner_are_one_region():
    assert localization_counts([np.eye(4)], [np.eye(4) > 0]).num_regions == 1


def test_the_ends_of_the_scale():
    _, masks = draw(0)
    perfect = localization_counts([m * 1.0 for m in masks], masks)
    blind = localization_counts([m * 0.0 for m in masks], masks)
    worst = localization_counts([m * -1.0 for m in masks], masks)
    assert pixel_auroc(perfect) == aupro(perfect) == 1
    assert pixel_auroc(blind) == 0.5
    assert aupro(blind) == pytest.approx(0.15)
    assert pixel_auroc(worst) == aupro(worst) == 0


def test_counts_of_images_add_up():
    maps, masks = draw(1)
    thresholds = np.unique(np.concatenate([m.ravel() for m in maps]))
    one, other = (
        localization_counts(maps[part], masks[part], thresholds)
        for part in (slice(2), slice(2, None))
    )
    together = localization_counts(maps, masks)
    assert aupro(one + other) == pytest.approx(aupro(together), abs=1e-12)
    assert pixel_auroc(one + other) == pixel_auroc(together)


def test_some_thresholds_are_close_to_all():
    rng = np.random.default_rng(0)
    mask = np.zeros((100, 100), bool)
    mask[20:30, 20:50] = True
    errors = rng.normal(size=mask.shape) + mask
    all_of_them = localization_counts([errors], [mask])
    some = np.quantile(errors, np.linspace(0, 1, 1_000))
    few = localization_counts([errors], [mask], some)
    assert pixel_auroc(few) == pytest.approx(pixel_auroc(all_of_them), abs=1e-3)
    assert aupro(few) == pytest.approx(aupro(all_of_them), abs=1e-3)


@pytest.mark.parametrize(
    ("errors", "mask", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2), bool), "of one shape"),
        (np.zeros((2, 3)), np.zeros((2, 3)), "of type bool"),
        (np.full((2, 3), np.nan), np.zeros((2, 3), bool), "NaN"),
    ],
    ids=["shape", "type", "NaN"],
)
def test_maps_and_masks_have_to_fit(errors, mask, message):
    with pytest.raises(ValueError, match=message):
        localization_counts([errors], [mask])


@pytest.mark.parametrize("metric", [aupro, pixel_auroc])
@pytest.mark.parametrize("fill", [True, False])
def test_pixels_of_both_kinds_are_needed(metric, fill):
    mask = np.full((4, 4), fill)
    with pytest.raises(ValueError, match="pixels of defects and pixels out"):
        metric(localization_counts([np.zeros((4, 4))], [mask]))


@pytest.mark.parametrize("limit", [0, -0.1, 1.5, np.nan])
def test_the_end_of_the_integral_is_a_rate(limit):
    counts = localization_counts([np.eye(4)], [np.eye(4) > 0])
    with pytest.raises(ValueError, match="max_false_alarm_rate in"):
        aupro(counts, limit)
