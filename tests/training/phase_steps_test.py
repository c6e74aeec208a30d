"""The steps of a phase, which few examples may end earlier."""

import types

import keras
import pytest

from nae_tf.training.experiment import Phase


@pytest.mark.parametrize(
    ("settings", "size", "steps"),
    [
        ({}, 300, 3),  # One pass in batches of 128.
        ({"steps_per_epoch": 50}, 300, 50),
        # 100 passes are 234.4 steps, 23 in each of ten epochs.
        ({"steps_per_epoch": 50, "max_passes": 100}, 300, 23),
        ({"steps_per_epoch": 50, "max_passes": 100}, 640, 50),
        # Passes are less than the limit, and every epoch has a step.
        ({"max_passes": 100}, 300, 3),
        ({"max_passes": 1}, 300, 1),
    ],
)
def test_all_epochs_together_pass_no_more_than_a_limit(settings, size, steps):
    phase = Phase(keras.optimizers.Adam, epochs=10, **settings)
    assert phase.steps(types.SimpleNamespace(size=size)) == steps


def test_no_epochs_have_no_limit():
    phase = Phase(keras.optimizers.Adam, epochs=0, max_passes=3)
    assert phase.steps(types.SimpleNamespace(size=128)) == 1
