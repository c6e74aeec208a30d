"""Networks of Keras's own layers against those that they stand for."""

import keras
import numpy as np
import pytest

from nae_tf import NAE, Euclidean
from nae_tf.networks import (
    Conv28Decoder,
    Conv28Encoder,
    Conv32BigDecoder,
    Conv32BigEncoder,
    Conv32Decoder,
    Conv32Encoder,
    Conv64Decoder,
    Conv64Encoder,
    FCRes2Decoder,
    FCRes2Encoder,
    MLPDecoder,
    MLPEncoder,
    to_plain_network,
    to_plain_networks,
)
from nae_tf.networks.fast_layers import OneChannelConv2D

NARROW = {"latent_dim": 3, "width": 4}
VECTORS = {"latent_dim": 3, "example_shape": (5,)}
NETWORKS = {
    "Conv28": lambda: (
        Conv28Encoder(**NARROW, hidden_units=8),
        Conv28Decoder(**NARROW),
    ),
    "Conv32": lambda: (
        Conv32Encoder(**NARROW, hidden_units=8),
        Conv32Decoder(**NARROW),
    ),
    "Conv32Big": lambda: (
        Conv32BigEncoder(latent_dim=3, width=8),
        Conv32BigDecoder(latent_dim=3, width=8),
    ),
    "Conv64": lambda: (Conv64Encoder(3, 8), Conv64Decoder(3, 8)),
    "FCRes2": lambda: (FCRes2Encoder(3, 5, 8, 8), FCRes2Decoder(3, 5, 8, 8)),
    "MLP": lambda: (MLPEncoder(**VECTORS), MLPDecoder(**VECTORS)),
}


def examples(network, size=6, seed=0):
    shape = (size, *network.input_shape[1:])
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def shake(network, seed=0):
    """Give every weight a value of its own, biases and scales too."""
    random = np.random.default_rng(seed)
    for weight in network.weights:
        noise = random.normal(scale=0.1, size=weight.shape)
        weight.assign(weight + noise.astype(weight.dtype))


def modules(network):
    return {
        module
        for layer in network.layers
        for module in (
            modules(layer)
            if isinstance(layer, keras.Model)
            else {type(layer).__module__.partition(".")[0]}
        )
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_same_values_in_layers_of_keras(name):
    for network in NETWORKS[name]():
        shake(network)
        plain = to_plain_network(network)
        assert modules(plain) == {"keras"}
        x = examples(network)
        expected = network(x, training=False)
        assert np.std(expected) > 1e-3
        np.testing.assert_allclose(
            plain(x, training=False), expected, rtol=0, atol=1e-5
        )


def test_a_model_of_plain_networks_has_the_same_scores():
    nae = NAE(*NETWORKS["Conv28"](), latent_space=Euclidean())
    encoder, decoder = to_plain_networks(nae)
    plain = NAE(encoder, decoder, latent_space=Euclidean())
    x = examples(nae.encoder)
    np.testing.assert_allclose(
        plain.predict_outlier_score(x),
        nae.predict_outlier_score(x),
        rtol=1e-5,
    )


def test_layers_that_are_shared_and_models_in_models_stay_so():
    inner = keras.Sequential(
        [keras.Input((8, 8, 1)), OneChannelConv2D(2, 3, activation="relu")]
    )
    shared = keras.layers.Dense(2)
    x = keras.Input((8, 8, 1))
    y = shared(shared(keras.layers.GlobalAveragePooling2D()(inner(x))))
    network = keras.Model(x, y)
    plain = to_plain_network(network)
    assert plain.count_params() == network.count_params()
    np.testing.assert_allclose(
        plain(examples(network)), network(examples(network)), atol=1e-6
    )


def test_weights_are_copies():
    network = Conv28Encoder(**NARROW, hidden_units=8)
    plain = to_plain_network(network)
    before = plain(examples(network)).numpy()
    shake(network)
    np.testing.assert_array_equal(plain(examples(network)), before)


def test_what_has_no_graph_is_refused_in_one_line():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="known input shape, received Own"):
        to_plain_network(Own())
    with pytest.raises(ValueError, match=r"known input .*received Sequential"):
        to_plain_network(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="an encoder and a decoder, received"):
        to_plain_networks(Own())
