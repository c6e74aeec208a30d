"""Callbacks keep the right epoch, and go on from their state."""

import keras
import numpy as np
import pytest

from nae_tf.runs.checkpoints import WeightsCopy
from nae_tf.training.callbacks import EarlyStopping, KeepBest


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def keep_best(model, mode="min"):
    callback = KeepBest(WeightsCopy(model), "metric", mode)
    callback.set_model(model)
    return callback


def end_epochs(callback, model, metrics, first=0):
    """Epochs whose weights are all equal to their number, from 1."""
    for epoch, metric in enumerate(metrics, start=first):
        model.set_weights(
            [np.full_like(w, epoch + 1.0) for w in model.get_weights()]
        )
        callback.on_epoch_end(epoch, {"metric": metric})


def kept(callback, model):
    callback.weights.copy_to(model)
    return float(model.get_weights()[0][0, 0])


@pytest.mark.parametrize(
    ("mode", "metrics", "best"),
    [
        ("min", [3.0, 1.0, 2.0], 2),
        ("max", [1.0, 3.0, 2.0], 2),
        ("min", [1.0, 1.0, 2.0], 2),  # A later epoch wins a tie.
        ("min", [float("nan"), 5.0, float("nan")], 2),
        ("min", [1.0, 2.0, 3.0], 1),
    ],
)
def test_the_best_epoch_is_kept(model, mode, metrics, best):
    callback = keep_best(model, mode)
    end_epochs(callback, model, metrics)
    assert callback.epoch == best
    assert kept(callback, model) == best


def test_the_best_metric_so_far_survives_an_interruption(model):
    before = keep_best(model)
    end_epochs(before, model, [2.0, 1.0, 3.0])
    after = keep_best(model)
    after.set_state(before.get_state())
    after.weights = before.weights  # The checkpoint's part.
    end_epochs(after, model, [1.5], first=3)
    assert after.epoch == 2
    end_epochs(after, model, [0.5], first=4)
    assert after.epoch == 5
    assert kept(after, model) == 5


@pytest.mark.parametrize(
    ("mode", "metrics", "epochs"),
    [
        ("min", [3.0, 2.0, 2.0, 2.5], 4),  # A tie is no improvement.
        ("min", [3.0, 2.0, 2.5, 1.0, 1.5, 1.2, 0.0], 6),
        ("max", [1.0, 2.0, 1.5, 1.0, 3.0], 4),
    ],
)
def test_training_stops_after_two_epochs_without_improvement(
    model, mode, metrics, epochs
):
    callback = EarlyStopping("metric", patience=2, mode=mode)
    callback.set_model(model)
    model.stop_training = False
    for epoch, metric in enumerate(metrics):
        callback.on_epoch_end(epoch, {"metric": metric})
        if model.stop_training:
            break
    assert epoch + 1 == epochs
