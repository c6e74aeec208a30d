import keras
import numpy as np
import pytest
import tensorflow as tf
from golden import load_golden, set_torch_weights
from numpy_layers import (
    conv,
    conv_transpose,
    conv_transpose_from_point,
    dense,
    pool,
    random_inputs,
    relu,
    sigmoid,
    upsampled_conv_transpose,
    with_random_weights,
)

from nae_tf.networks import conv28, conv32, conv64, fc_res2, mlp

# Counted in the authors' PyTorch code.
COUNTS = [
    (conv28.Conv28Encoder, {}, 2_260_576),
    (conv28.Conv28Decoder, {}, 195_137),
    (fc_res2.FCRes2Encoder, {"latent_dim": 3}, 2_629_379),
    (fc_res2.FCRes2Decoder, {"latent_dim": 3}, 2_629_378),
    (fc_res2.FCRes2Encoder, {"latent_dim": 2}, 2_629_122),
    (fc_res2.FCRes2Decoder, {"latent_dim": 2}, 2_629_122),
]


@pytest.mark.parametrize(("network", "arguments", "count"), COUNTS)
def test_parameter_counts_are_the_authors(network, arguments, count):
    assert network(**arguments).count_params() == count


def test_shapes_are_the_papers():
    for encoder, decoder, example_shape in (
        (conv28.Conv28Encoder(5), conv28.Conv28Decoder(5), (28, 28, 1)),
        (fc_res2.FCRes2Encoder(5), fc_res2.FCRes2Decoder(5), (2,)),
    ):
        assert encoder.input_shape == (None, *example_shape)
        assert encoder.output_shape == (None, 5)
        assert decoder.input_shape == (None, 5)
        assert decoder.output_shape == (None, *example_shape)


GOLDEN = {
    "conv28_small": (
        conv28.Conv28Encoder,
        conv28.Conv28Decoder,
        {"latent_dim": 8, "width": 8},
        {"hidden_units": 32},
    ),
    "conv64_small": (
        conv64.Conv64Encoder,
        conv64.Conv64Decoder,
        {"latent_dim": 6, "width": 8, "groups": 2},
        {},
    ),
}


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-6)]
)
@pytest.mark.parametrize("name", GOLDEN)
def test_autoencoder_agrees_with_the_authors_code(name, dtype, tolerance):
    values, encoder_weights, decoder_weights = load_golden(name)
    encoder_class, decoder_class, arguments, more = GOLDEN[name]
    encoder = encoder_class(**arguments, **more, dtype=dtype)
    decoder = decoder_class(**arguments, dtype=dtype)
    set_torch_weights(encoder, encoder_weights)
    set_torch_weights(decoder, decoder_weights)

    x = tf.constant(values["x"], dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        latent = tf.math.l2_normalize(encoder(x), axis=-1)
        reconstruction = decoder(latent)
        energy = tf.reduce_mean((x - reconstruction) ** 2, axis=(1, 2, 3))
    gradient = tape.gradient(energy, x)
    decoded = decoder(tf.constant(values["z"], dtype))

    for got, key in (
        (latent, "latent"),
        (reconstruction, "reconstruction"),
        (decoded, "decoded"),
        (energy, "energy"),
        (gradient, "energy_gradient"),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got, values[key], rtol=0, atol=tolerance, err_msg=key
        )


def test_conv28_encoder_is_the_authors():
    model, weights = with_random_weights(
        conv28.Conv28Encoder(3, width=2, hidden_units=5, dtype="float64")
    )
    x = random_inputs(model)
    y = relu(conv(x, weights))
    y = pool(relu(conv(y, weights)), np.max)
    y = relu(conv(y, weights))
    y = pool(relu(conv(y, weights)), np.max)
    y = dense(relu(dense(y, weights)), weights)
    np.testing.assert_allclose(model(x), y, rtol=1e-9)


def test_conv28_decoder_is_the_authors():
    model, weights = with_random_weights(
        conv28.Conv28Decoder(3, width=2, dtype="float64")
    )
    z = random_inputs(model)
    y = relu(conv_transpose_from_point(z, weights))
    y = relu(upsampled_conv_transpose(y, weights))
    y = relu(conv_transpose(y, weights))
    y = relu(upsampled_conv_transpose(y, weights))
    y = sigmoid(conv_transpose(y, weights))
    np.testing.assert_allclose(model(z), y, rtol=1e-9)


@pytest.mark.parametrize(
    "network", [fc_res2.FCRes2Encoder, fc_res2.FCRes2Decoder]
)
def test_fc_res2_has_five_pre_activation_blocks(network):
    model, weights = with_random_weights(
        network(3, units=8, hidden_units=16, dtype="float64")
    )
    x = random_inputs(model) - 0.5
    y = dense(x, weights)
    for _ in range(5):
        y = y + dense(relu(dense(relu(y), weights)), weights)
    np.testing.assert_allclose(model(x), dense(relu(y), weights), rtol=1e-9)


@pytest.mark.parametrize("example_shape", [(7,), (8, 8, 1), (3, 4, 2)])
def test_mlp_takes_any_example_shape(example_shape):
    encoder, encoder_weights = with_random_weights(
        mlp.MLPEncoder(3, example_shape, (6, 5), dtype="float64")
    )
    decoder, decoder_weights = with_random_weights(
        mlp.MLPDecoder(3, example_shape, (5, 6), dtype="float64")
    )
    x, z = random_inputs(encoder), random_inputs(decoder)
    code = relu(dense(relu(dense(x, encoder_weights)), encoder_weights))
    code = dense(code, encoder_weights)
    y = relu(dense(relu(dense(z, decoder_weights)), decoder_weights))
    y = np.reshape(sigmoid(dense(y, decoder_weights)), (2, *example_shape))
    np.testing.assert_allclose(encoder(x), code, rtol=1e-9)
    np.testing.assert_allclose(decoder(z), y, rtol=1e-9)


def test_mlp_decoder_can_be_linear():
    decoder = mlp.MLPDecoder(3, (5,), (9,), dtype="float64")
    linear = mlp.MLPDecoder(
        3, (5,), (9,), output_activation=None, dtype="float64"
    )
    linear.set_weights(decoder.get_weights())
    z = random_inputs(decoder)
    np.testing.assert_allclose(decoder(z), sigmoid(linear(z).numpy()))


@pytest.mark.parametrize(
    ("network", "fan_ins"),
    [
        (conv28.Conv28Encoder, (9, 288, 576, 576, 2048, 1024)),
        # PyTorch's fan-in of a transposed convolution counts its outputs.
        (conv28.Conv28Decoder, (2048, 576, 576, 288, 9)),
        (fc_res2.FCRes2Encoder, (2, *5 * (256, 1024), 256)),
        (conv32.Conv32Decoder, (9216, 2048, 1024, 27)),
    ],
)
def test_weights_start_as_pytorchs(network, fan_ins):
    model = network(latent_dim=32)
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    for layer, fan_in in zip(layers, fan_ins, strict=True):
        bound = 1 / np.sqrt(fan_in)
        for weight in layer.get_weights():
            # The largest of n uniform values is below q with probability q^n.
            assert np.max(np.abs(weight)) >= bound * 1e-6 ** (1 / weight.size)
            assert np.max(np.abs(weight)) <= bound * (1 + 1e-6)


def test_seed_reproduces_a_network():
    weights = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        weights.append(mlp.MLPEncoder(3, (4,)).get_weights())
    for first, same, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, same)
        assert np.max(np.abs(first - other)) > 0
