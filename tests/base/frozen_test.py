"""Networks that are not trained: saving, copying, training the rest."""

import warnings

import keras
import numpy as np
import pytest
from tiny_models import vector_nae, vector_networks

from nae_tf import NAE, Autoencoder
from nae_tf.networks.mlp import MLPDecoder, MLPEncoder
from nae_tf.training.divergence import DivergenceGuard, WatchDivergence


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(20, 4)).astype("float32")


def networks():
    return MLPEncoder(3, (4,), (8,)), MLPDecoder(3, (4,), (8,), None)


def half_frozen():
    """An autoencoder that trains its encoder alone."""
    model = Autoencoder(*networks())
    model.decoder.trainable = False
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def trainable_parts(model):
    parts = (model, model.encoder, model.decoder)
    return [part.trainable for part in parts]


def test_a_loaded_model_keeps_its_decoder_frozen(x, tmp_path):
    model = half_frozen()
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        # "Skipping variable loading for optimizer".
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert trainable_parts(loaded) == [True, True, False]
    for a, b in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    before = [
        network.get_weights() for network in (loaded.encoder, loaded.decoder)
    ]
    loaded.fit(x, verbose=0)
    assert np.any(before[0][0] != loaded.encoder.get_weights()[0])
    for old, new in zip(before[1], loaded.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("copy", ["saved", "cloned"])
def test_a_single_frozen_layer_stays_frozen(copy, x, tmp_path):
    model = Autoencoder(*networks())
    frozen = next(layer for layer in model.encoder.layers if layer.weights)
    frozen.trainable = False
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, verbose=0)
    if copy == "saved":
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.optimizer.iterations == model.optimizer.iterations > 0
    else:
        again = keras.models.clone_model(model)
    assert [layer.trainable for layer in again.encoder.layers] == [
        layer.trainable for layer in model.encoder.layers
    ]
    assert len(again.trainable_variables) == len(model.trainable_variables)


def test_a_clone_keeps_its_decoder_frozen():
    clone = keras.models.clone_model(half_frozen())
    assert trainable_parts(clone) == [True, True, False]


def test_a_model_that_is_frozen_as_a_whole_comes_back_so():
    # Of Keras's own networks the layers know, so the model must know itself.
    model = NAE(*vector_networks())
    model.trainable = False
    again = NAE.from_config(model.get_config())
    assert not again.trainable and not again.trainable_variables


def test_configs_of_older_versions_load():
    config = half_frozen().get_config()
    for old in (config, config["decoder"]["config"]):
        del old["trainable"]
    assert trainable_parts(Autoencoder.from_config(config)) == [True] * 3


def test_the_temperature_alone_can_be_trained(x):
    model = vector_nae(temperature=0.5, temperature_learning_rate=0.1)
    model.encoder.trainable = model.decoder.trainable = False
    model.compile(keras.optimizers.SGD(0.1))
    before = model.encoder.get_weights() + model.decoder.get_weights()
    history = model.fit(x, batch_size=10, epochs=1, verbose=0).history
    assert history["energy_gap"][0] > 0
    # Adam's first steps have about the size of the learning rate.
    assert 0.5 * np.exp(0.1) < model.temperature < 0.5 * np.exp(0.21)
    after = model.encoder.get_weights() + model.decoder.get_weights()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.num_batches == model.optimizer.iterations == 2


def test_a_model_that_is_frozen_as_a_whole_keeps_its_temperature(x):
    model = vector_nae(temperature=0.5, temperature_learning_rate=0.1)
    model.trainable = False
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, batch_size=10, epochs=1, verbose=0)
    assert float(model.temperature) == pytest.approx(0.5)
    assert model.num_batches == 2


def test_a_temperature_that_leaves_1_is_no_divergence(x):
    # The norm of all that is trained, log T, begins at 0.
    model = vector_nae(temperature=1.0, temperature_learning_rate=0.1)
    model.encoder.trainable = model.decoder.trainable = False
    model.compile(keras.optimizers.SGD(0.1))
    watch = WatchDivergence(DivergenceGuard(weights_every=1))
    model.fit(x, batch_size=10, epochs=1, verbose=0, callbacks=[watch])
    assert float(model.temperature) != 1.0


def test_an_autoencoder_with_nothing_to_train_stays_as_it_is(x):
    model = half_frozen()
    model.encoder.trainable = False
    before = model.predict_outlier_score(x)
    model.compile()
    model.fit(x, verbose=0)
    np.testing.assert_array_equal(model.predict_outlier_score(x), before)
