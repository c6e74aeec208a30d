"""Layers with random numbers of their own, in the checkpoints of a phase."""

import dataclasses

import keras
import numpy as np
import pytest
from tiny_models import vector_networks

from nae_tf import Autoencoder
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.phase_checkpoints import PhaseCheckpoints

X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    encoder, decoder = vector_networks()
    encoder.add(keras.layers.Dropout(0.5))
    made = Autoencoder(encoder, decoder)
    made.compile(keras.optimizers.Adam(1e-2))
    made.optimizer.build(made.trainable_variables)
    return made


def weights_after_an_epoch(model):
    model.fit(X, batch_size=8, shuffle=False, verbose=0)
    return model.get_weights()


def test_dropout_goes_on_where_it_was(model, tmp_path):
    checkpoints = PhaseCheckpoints(RunDirectory(tmp_path), "a", model, [])
    weights_after_an_epoch(model)
    checkpoints.save(1, 0, False)
    expected = weights_after_an_epoch(model)
    saved = checkpoints.newest()
    checkpoints.restore(saved, 0)
    for one, other in zip(weights_after_an_epoch(model), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    # As earlier versions wrote it: all but the random numbers.
    older = dataclasses.replace(saved.progress, seeds=[])
    checkpoints.restore(dataclasses.replace(saved, progress=older), 0)
    again = weights_after_an_epoch(model)
    assert np.abs(again[0] - expected[0]).max() > 0
