"""Weights averaged by the optimizer: judged, kept, resumed, evaluated."""

import numpy as np
import pytest
from averaging import AVERAGING, averages
from run_ends import assert_same_end, final_state, rows, send_once
from tiny_runs import (
    EPOCHS,
    STEPS,
    autoencoder_experiment,
    record_weights,
    train_autoencoder,
)

from nae_tf.data.selection import sample
from nae_tf.evaluation.results import trained_methods
from nae_tf.runs import run_directory


def evaluated_model(path, *bindings):
    """The model as `evaluate` and `export` restore it, and its task."""
    experiment = autoencoder_experiment(*bindings)
    ((_, model),) = trained_methods(
        run_directory.RunDirectory(path), experiment
    )
    return model, experiment.task


@pytest.fixture(scope="module")
def path_of_weights(tmp_path_factory):
    """A run that does not average, and its weights after every step."""
    path = tmp_path_factory.mktemp("runs") / "plain"
    return path, record_weights(path, "training/Phase.keep='last'")


def assert_weights(model, expected):
    for weight, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_what_is_evaluated_is_the_average_of_the_weights(
    keep, path_of_weights, tmp_path
):
    bindings = [*AVERAGING, f"training/Phase.keep='{keep}'"]
    train_autoencoder(tmp_path / "run", *bindings)
    model, task = evaluated_model(tmp_path / "run", *bindings)
    best_epoch = final_state(tmp_path / "run")[0].best_epoch
    assert (best_epoch is None) == (keep == "last")
    _, steps = path_of_weights
    expected = averages(steps[: (best_epoch or EPOCHS) * STEPS])
    assert_weights(model, expected)
    # Far from the weights that training went on from.
    last = steps[(best_epoch or EPOCHS) * STEPS - 1]
    assert np.abs(model.get_weights()[0] - last[0]).max() > 1e-3
    # Training itself did not notice.
    losses, plain = (
        [row["value"] for row in rows(path) if row["metric"] == "loss"]
        for path in (tmp_path / "run", path_of_weights[0])
    )
    assert losses == plain
    # Validation did: the last epoch's metric is that of the averages.
    model.set_weights(averages(steps))
    judged = sample(task.validation, 32)
    error = np.mean(model.predict_outlier_score(judged.batches(32)))
    metrics = [
        float(row["value"])
        for row in rows(tmp_path / "run")
        if row["metric"] == "val_reconstruction_error"
    ]
    assert metrics[-1] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("instant", [(1, 4), (2, 0)])
def test_averages_survive_an_interruption(instant, tmp_path, monkeypatch):
    bindings = [*AVERAGING, "training/Phase.keep='last'"]
    train_autoencoder(tmp_path / "alone", *bindings)
    send_once(monkeypatch, lambda *at: at == instant)
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run", *bindings)
    train_autoencoder(tmp_path / "run", *bindings, resume=True)
    assert_same_end(tmp_path / "run", tmp_path / "alone")


def test_without_a_step_there_is_no_average(tmp_path):
    bindings = [*AVERAGING, "training/Phase.epochs=0"]
    train_autoencoder(tmp_path / "run", *bindings)
    model, _ = evaluated_model(tmp_path / "run", *bindings)
    initial = autoencoder_experiment(*bindings).build_model()
    assert_weights(model, initial.get_weights())
    assert np.abs(model.get_weights()[0]).max() > 0
