"""Records of training: the replay buffer's metrics, and progress."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf
from terminal import show
from tiny_models import vector_nae

from nae_tf.training import records


@pytest.fixture
def display(monkeypatch):
    """Set how things are shown; the test after this starts afresh."""
    return functools.partial(show, monkeypatch)


@pytest.mark.parametrize(
    ("states", "diversity"),
    [(np.ones((8, 3)), 0.0), (np.eye(8), np.sqrt(2)), ([[0.0], [3.0]], 3.0)],
)
def test_diversity_is_the_mean_distance_of_two_states(states, diversity):
    states = tf.constant(states, tf.float32)
    callback = records.ReplayBufferMetrics()
    callback.set_model(
        types.SimpleNamespace(
            num_batches=tf.Variable(2),
            replay_buffer=types.SimpleNamespace(
                states=states, size=len(states), num_pushed=len(states)
            ),
        )
    )
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs["replay_buffer_diversity"] == pytest.approx(diversity)
    assert logs["replay_buffer_age"] == pytest.approx(0.5)


# --- On the terminal ---------------------------------------------------------


def fit(epochs=2, initial_epoch=0, model=None):
    model = model or vector_nae()
    x = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    model.fit(
        x,
        batch_size=4,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        callbacks=[records.TrainingProgress("training", 3, 3)],
    )
    return model


def test_training_in_a_pipe_is_a_line_an_epoch_with_the_time_left(display):
    shown = display(terminal=False)
    fit()
    lines = shown.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "training 1/3",
        "training 2/3",
    ]
    assert "E samples" in lines[0] and lines[0].endswith(" left)")


def test_the_time_left_is_by_the_pace_since_it_went_on(display, monkeypatch):
    shown = display(terminal=False)
    now = 1_000.0
    clock = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(records, "time", clock)
    callback = records.TrainingProgress("training", 3, 3)
    step = 3
    monkeypatch.setattr(callback, "_step", lambda: step)
    callback.on_train_begin()
    now += 60.0
    step = 6
    callback.on_epoch_end(1, {"loss": 0.5})
    # Three steps took a minute, three are left.
    assert shown.getvalue() == "training 2/3  loss 0.500  (01:00 left)\n"


def test_a_line_of_nae_has_the_energies_and_fits_a_terminal():
    logs = {
        "energy_gap": -1.234e-05,
        "latent_gradient_norm": 1.234e-05,
        "loss": -1.234e-05,
        "negative_energy": 1.234e-05,
        "positive_energy": 1.235e-05,
        "val_positive_energy": 1.236e-05,
        "visible_gradient_norm": 1.234e-05,
        "replay_buffer_age": 1.234e05,
        "outliers/chimera/auroc": 0.75,
        "selection_auroc": 0.125,
        "sample_gap": -1.5,
    }
    line = records.epoch_line("training 1000/1000", logs, "  (10:10:10 left)")
    assert line.endswith("  (10:10:10 left)") and len(line) < 100
    for part in ("E data 1.24e-05", "E samples 1.23e-05"):
        assert part in line
    line = records.epoch_line("training 1/40", logs)
    assert len(line) < 100
    assert "selection AUROC 0.125  gap -1.50" in line
    assert "energy_gap" not in line and "loss" not in line


@pytest.mark.parametrize("energy", [0.00651, 0.0065, 0.00694444])
def test_zeros_at_the_end_do_not_change_what_fits(energy):
    logs = {"positive_energy": energy, "negative_energy": 0.00394}
    logs |= {"selection_auroc": 0.98, "sample_gap": -1.6}
    line = records.epoch_line("training 21/40", logs, "  (00:55 left)")
    assert "selection AUROC 0.980  gap -1.60  (00:55" in line


def test_a_line_of_another_method_has_its_own_metrics():
    logs = {"loss": 2.0, "kl_divergence": 0.5, "val_kl_divergence": 0.25}
    line = records.epoch_line("training 1/9", logs | {"val_loss": 3.0})
    assert line == (
        "training 1/9  loss 2.00  validation loss 3.00  kl_divergence 0.500"
    )
    logs = {"loss": 2.0, "val_loss": 3.0, "reconstruction_error": 1.0}
    line = records.epoch_line(
        "pretraining 1/9", logs | {"val_reconstruction_error": 4.0}
    )
    assert line == (
        "pretraining 1/9  loss 2.00  error 1.00  validation error 4.00"
    )


def test_every_short_name_is_explained():
    assert "negative samples" in records.explanation(vector_nae().means)
    of_autoencoder = vector_nae().autoencoder().means
    assert records.explanation(of_autoencoder).startswith("error: ")
    assert records.explanation(["loss", "denoising_error"]) is None


def test_training_on_a_terminal_counts_steps_and_resumes_where_it_was(display):
    shown = display()
    model = fit(epochs=2)
    assert "9/9" not in shown.getvalue()
    shown = display()
    fit(epochs=3, initial_epoch=2, model=model)
    text = shown.getvalue()
    assert "6/9" in text and "1/9" not in text
    assert "training 3/3  " in text
    assert " left)" not in text


def test_quiet_training_shows_nothing(display):
    shown = display(quiet=True)
    fit()
    assert shown.getvalue() == ""
