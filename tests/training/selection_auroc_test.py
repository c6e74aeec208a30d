"""Epochs are compared by the AUROC of inliers against selection outliers."""

import keras
import numpy as np
import pytest
from evaluation_stand_in import MeanDetector, examples
from sklearn.metrics import roc_auc_score
from tiny_models import vector_nae

from nae_tf.data.task import Task
from nae_tf.training import SelectionAuroc


@pytest.mark.parametrize(
    ("limit", "near", "far"),
    # Of six pairs, an outlier has the higher score in four; of one, in none.
    [(None, 4 / 6, 1.0), (1, 0.0, 1.0)],
)
def test_selection_is_by_the_mean_auroc_of_the_selection_sets(limit, near, far):
    sets = {"normal": [5, 1, 3], "near": [2, 6], "far": [6, 7], "other": [9]}
    splits = {
        name: examples(name, np.reshape(scores, [-1, 1]))
        for name, scores in sets.items()
    }
    task = Task(
        "task",
        train=splits["other"],
        validation=splits["normal"],
        test=splits["other"],
        selection={name: splits[name] for name in ("near", "far")},
        outliers={"final": splits["other"]},
    )
    callback = SelectionAuroc(task, batch_size=2, limit=limit)
    callback.set_model(MeanDetector())
    logs = {"loss": 0.5}
    callback.on_epoch_end(0, logs)
    assert logs == pytest.approx(
        {
            "loss": 0.5,
            "outliers/near/auroc": near,
            "outliers/far/auroc": far,
            "selection_auroc": (near + far) / 2,
        }
    )


def scored(callback):
    """The logs that an epoch ends with."""
    callback.set_model(MeanDetector())
    logs = {}
    callback.on_epoch_end(0, logs)
    return logs


def column(*values):
    return np.reshape(np.array(values, np.float32), [-1, 1])


def test_arrays_are_compared_as_the_sets_of_a_task_are():
    inliers, near, far = column(5, 1, 3), column(2, 6), column(6, 7)
    sets = {"near": near, "far": far}
    assert scored(SelectionAuroc(inliers, sets)) == pytest.approx(
        {
            "outliers/near/auroc": 4 / 6,
            "outliers/far/auroc": 1.0,
            "selection_auroc": 5 / 6,
        }
    )
    assert scored(SelectionAuroc(inliers, near)) == pytest.approx(
        {"outliers/given/auroc": 4 / 6, "selection_auroc": 4 / 6}
    )


def test_a_limit_takes_a_sample_and_not_the_first_rows():
    # The first half has other scores than the second.
    inliers = column(*[1] * 500, *[3] * 500)
    logs = scored(SelectionAuroc(inliers, column(2, 2), limit=400))
    # A sample of 400 has 200 of each kind, with a standard deviation of 7.7.
    assert abs(logs["selection_auroc"] - 0.5) < 5 * 7.7 / 400


def test_without_outliers_it_makes_its_own_and_says_so_once(capfd):
    images = np.random.default_rng(0).uniform(size=[9, 4, 4, 1])
    callback = SelectionAuroc(images)
    assert set(scored(callback)) == {
        "outliers/chimeras/auroc",
        "outliers/upside-down/auroc",
        "outliers/shuffled/auroc",
        "selection_auroc",
    }
    callback.on_train_begin()
    callback.on_train_begin()
    assert capfd.readouterr().err == (
        "SelectionAuroc: no outliers given; epochs are compared by outliers "
        "made of 9 inliers: chimeras, upside-down, shuffled.\n"
    )
    SelectionAuroc(images, images).on_train_begin()
    assert not capfd.readouterr().err


class BiasSchedule(keras.callbacks.Callback):
    """Give the last bias the value of the epoch, as training would."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        bias = self.model.decoder.layers[-1].bias
        bias.assign(np.full(bias.shape, self.values[epoch]))


@pytest.mark.parametrize(("restore", "left"), [(True, 1.0), (False, -1.0)])
def test_fit_ends_with_the_best_epoch_if_asked(restore, left):
    model = vector_nae()
    for weight in model.decoder.layers[-1].weights:
        weight.assign(np.zeros(weight.shape))
    model.compile("adam")
    # With an output of b the energy of x is (x - b)**2: data at 1 are told
    # from outliers at 0 by b = 1, not at all by b = 0.5, and wrongly by -1.
    inliers = np.ones([8, 4], np.float32)
    outliers = np.zeros([8, 4], np.float32)
    selection = SelectionAuroc(inliers, outliers, restore_best_weights=restore)
    history = model.fit(
        inliers,
        epochs=3,
        callbacks=[BiasSchedule([0.5, 1.0, -1.0]), selection],
        verbose=0,
    )
    kernel = np.zeros(model.decoder.layers[-1].kernel.shape)
    assert model.decoder.layers[-1].kernel.numpy() == pytest.approx(
        kernel, abs=0.1
    )
    assert history.history["selection_auroc"][1:] == [1.0, 0.0]
    assert model.decoder.layers[-1].bias.numpy() == pytest.approx(left)
    assert selection.best_epoch == (2 if restore else None)


def test_keras_stops_early_by_it():
    rng = np.random.default_rng(0)
    inliers, outliers = rng.uniform(size=[2, 16, 4])
    model = vector_nae()
    model.compile("adam")
    history = model.fit(
        inliers,
        epochs=9,
        callbacks=[
            SelectionAuroc(inliers, outliers),
            # No epoch is better by 2: it stops after the first two.
            keras.callbacks.EarlyStopping(
                "selection_auroc", mode="max", min_delta=2, patience=1
            ),
        ],
        verbose=0,
    ).history
    assert len(history["selection_auroc"]) == 2
    labels = np.repeat([0, 1], 16)
    scores = model.predict_outlier_score(np.concatenate([inliers, outliers]))
    assert history["selection_auroc"][-1] == pytest.approx(
        roc_auc_score(labels, scores)
    )


TASK = Task(
    "plain",
    *[examples(name, column(1, 2)) for name in ("train", "validation", "test")],
    selection={},
    outliers={},
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([column()], r"expected inliers of shape \[num_examples, ...\]"),
        ([3.0], r"expected inliers of shape .* received \[\]"),
        ([column(1)], "expected at least two inliers"),
        ([column(1, np.nan)], "inliers of finite numbers, received float"),
        ([column(1, 2), [["a"]]], "outliers 'given' of finite numbers, .*<U1"),
        ([column(1, 2), np.ones([2, 3])], r"of the inliers, \[1\], .* \[3\]"),
        ([column(1, 2), {}], "expected at least one set of outliers"),
        ([TASK, column(1, 2)], "expected no outliers beside a task"),
        ([TASK], "'plain' has no selection outliers"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        SelectionAuroc(*arguments)
    assert "\n" not in str(error.value)


def test_examples_in_bfloat16_are_compared():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    inliers, outliers = (column(*c).astype(bfloat16) for c in [(1, 3), (2, 4)])
    callback = SelectionAuroc(inliers, outliers)
    callback.set_model(MeanDetector())
    logs: dict = {}
    callback.on_epoch_end(0, logs)
    assert logs["selection_auroc"] == 0.75
