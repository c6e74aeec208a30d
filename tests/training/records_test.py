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
    assert "energy_gap" in lines[0] and lines[0].endswith(" left)")


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
    assert shown.getvalue() == "training 2/3  loss 0.5  (01:00 left)\n"


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
