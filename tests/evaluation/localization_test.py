"""Error maps against masks, with a method whose errors are known."""

import types

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from image_trees import write_tree
from sklearn.metrics import roc_auc_score

from nae_tf.data import photographs
from nae_tf.data.readers.images import read_image
from nae_tf.data.selection import sample
from nae_tf.evaluation.evaluate import report_page
from nae_tf.evaluation.localization import localize
from nae_tf.evaluation.results import evaluate_method, results_of


class Brightness:
    """Reconstructs an image as black, so that its error is x**2."""

    def predict_outlier_score(self, x):
        return np.concatenate([y.numpy().mean((1, 2, 3)) for y in x])

    def as_examples(self, x):
        return tf.convert_to_tensor(x)

    def unstandardized(self, x):
        return x

    def encode(self, x):
        return x

    def decode(self, z):
        return 0.0 * z


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("trees") / "bottle"
    return write_tree(root, train=20, test=6, defects=("scratch", "stain"))


def task_of(tree, size):
    return photographs(tree=str(tree), image_shape=(*size, 1))


def test_maps_in_the_size_of_masks_are_scored_as_they_are(tree):
    together, apart = localize(Brightness(), task_of(tree, (90, 120)))
    good = sorted((tree / "test" / "good").iterdir())
    errors, labels = {}, {}
    for name in apart:
        images = [*good, *sorted((tree / "test" / name).iterdir())]
        masks = sorted((tree / "ground_truth" / name).iterdir())
        errors[name] = np.stack([read_image(path)[..., 0] for path in images])
        labels[name] = np.concatenate(
            [
                np.zeros((6, 90, 120)),
                *(read_image(p)[None, ..., 0] > 0 for p in masks),
            ]
        )
        assert (apart[name].num_images, apart[name].num_regions) == (6, 6)
        assert apart[name].pixel_auroc == pytest.approx(
            roc_auc_score(labels[name].ravel(), errors[name].ravel()), abs=1e-6
        )
        # Blots are brighter than all else.
        assert apart[name].aupro > 0.99
    assert list(apart) == ["scratch", "stain"]
    assert (together.num_images, together.num_regions) == (12, 12)


def test_maps_are_enlarged_to_the_masks(tree):
    together, _ = localize(Brightness(), task_of(tree, (30, 40)))
    # By SciPy, linear between the middles of pixels, as bilinear resizing is.
    good = [read_image(p) for p in sorted((tree / "test" / "good").iterdir())]
    task = task_of(tree, (30, 40))
    sets = [task.test, *task.outliers.values()]
    errors = np.concatenate(
        [(x.numpy()[..., 0]) ** 2 for s in sets for x in s.batches(99)]
    )
    enlarged = scipy.ndimage.zoom(
        errors, (1, 3, 3), order=1, mode="nearest", grid_mode=True
    )
    labels = np.zeros((18, 90, 120), bool)
    masks = sorted((tree / "ground_truth").rglob("*.png"))
    labels[len(good) :] = [read_image(path)[..., 0] > 0 for path in masks]
    assert together.pixel_auroc == pytest.approx(
        roc_auc_score(labels.ravel(), enlarged.ravel()), abs=1e-4
    )


def test_masks_follow_a_sample_of_the_set(tree):
    task = task_of(tree, (90, 120))
    drawn = {n: sample(x, 3, seed=5) for n, x in task.outliers.items()}
    some = types.SimpleNamespace(
        test=task.test, outliers=drawn, ground_truth=task.ground_truth
    )
    together, _ = localize(Brightness(), some)
    assert together.num_images == 6
    # With the masks of other images it would be about 0.6.
    assert together.pixel_auroc > 0.99


def test_images_without_a_mask_and_methods_without_maps_are_left_out(tree):
    task = task_of(tree, (90, 120))
    assert localize(object(), task) == (None, {})
    without = types.SimpleNamespace(ground_truth=None)
    assert localize(Brightness(), without) == (None, {})


def test_results_and_report_have_the_metrics_of_pixels(tree):
    task = task_of(tree, (90, 120))
    evaluations = {"NAE": evaluate_method("NAE", Brightness(), task)}
    experiment = types.SimpleNamespace(task=task, seed=0)
    results = results_of(evaluations, experiment, 0.3)
    method = results["methods"]["NAE"]
    together, apart = localize(Brightness(), task)
    assert method["localization"]["aupro"] == together.aupro
    of_stain = method["outliers"]["stain"]["localization"]
    assert of_stain["pixel_auroc"] == apart["stain"].pixel_auroc
    page = report_page(results, evaluations, "run", "")
    assert "Where the defects are" in page and "all together" in page
    assert results["notes"] == list(task.notes)
    for note in task.notes[:1]:
        assert note in page
