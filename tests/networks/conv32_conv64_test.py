import itertools

import keras
import numpy as np
import pytest
from numpy_layers import (
    conv,
    conv_transpose,
    conv_transpose_from_point,
    dense,
    group_norm,
    leaky_relu,
    pool,
    random_inputs,
    relu,
    sigmoid,
    upsample_nearest,
    with_random_weights,
)

from nae_tf import networks
from nae_tf.networks import conv32, conv64

# Counted in the authors' PyTorch code; Conv32, of which there is no code, in
# Table 10.
COUNTS = [
    ("Conv32", 32, 32, 1_486_912, 952_451),
    ("Conv32Big", 32, 32, 5_142_560, 956_419),
    ("Conv64", 64, 64, 17_284_160, 15_210_499),
]


@pytest.mark.parametrize(
    ("name", "size", "latent_dim", "encoder_count", "decoder_count"), COUNTS
)
def test_default_shapes_and_parameter_counts_are_the_authors(
    name, size, latent_dim, encoder_count, decoder_count
):
    encoder = getattr(networks, name + "Encoder")()
    decoder = getattr(networks, name + "Decoder")()
    assert encoder.input_shape == (None, size, size, 3)
    assert encoder.output_shape == (None, latent_dim)
    assert decoder.input_shape == (None, latent_dim)
    assert decoder.output_shape == (None, size, size, 3)
    assert encoder.count_params() == encoder_count
    assert decoder.count_params() == decoder_count


def test_conv64_encoder_of_width_256_is_the_one_table_10_prints():
    channels = (3, 256, 512, 1024, 2048)
    count = 2048 * 64 + 64
    for inputs, outputs in itertools.pairwise(channels):
        # Kernel, bias and the two weights of the group normalisation.
        count += 25 * inputs * outputs + 3 * outputs
    assert conv64.Conv64Encoder(width=256).count_params() == count


def test_conv32_encoder_is_table_10s():
    model, weights = with_random_weights(
        conv32.Conv32Encoder(4, width=4, hidden_units=6, dtype="float64")
    )

    def residual(x, weights):
        y = conv(leaky_relu(x), weights, padding="SAME")
        return x + conv(leaky_relu(y), weights, padding="SAME")

    x = random_inputs(model)
    y = x
    for _ in range(3):
        y = relu(conv(y, weights, strides=2))
    y = relu(dense(relu(dense(y, weights)), weights))
    y = np.reshape(y, (2, 1, 1, 4))
    # Keras lists the two parallel blocks' layers alternately, and first those
    # of the longer path, which ends in the sigmoid.
    blocks = list(weights)
    gate = residual(y, iter(blocks[0:2] + blocks[4:6]))
    value = residual(y, iter(blocks[2:4] + blocks[6:8]))
    y = np.reshape(y + value * sigmoid(gate), (2, 4))
    # TensorFlow keeps the slope of the leaky ReLU in float32.
    np.testing.assert_allclose(model(x), y, rtol=1e-6)


def test_conv32_decoder_is_table_10s():
    model, weights = with_random_weights(
        conv32.Conv32Decoder(4, width=4, dtype="float64")
    )
    z = random_inputs(model)
    y = relu(conv_transpose_from_point(z, weights))
    y = relu(conv_transpose(y, weights, strides=2))
    y = relu(conv_transpose(y, weights, strides=2))
    y = sigmoid(conv_transpose(y, weights))
    np.testing.assert_allclose(model(z), y, rtol=1e-9)


def test_conv32_big_encoder_is_the_authors():
    model, weights = with_random_weights(
        conv32.Conv32BigEncoder(4, width=4, dtype="float64")
    )
    x = random_inputs(model)
    y = leaky_relu(conv(x, weights, padding="SAME"))
    for down in (True, False, True, False, True, False):
        skip = y
        y = leaky_relu(conv(y, weights, padding="SAME"))
        y = conv(y, weights, padding="SAME")
        if down:
            y = y + conv(skip, weights, use_bias=False)
            y = leaky_relu(pool(y, np.mean))
        else:
            y = leaky_relu(y + skip)
    y = relu(y).mean(axis=(1, 2), keepdims=True)
    y = conv(y, weights)[:, 0, 0]
    np.testing.assert_allclose(model(x), y, rtol=1e-6)


def test_conv32_big_decoder_is_the_authors():
    model, weights = with_random_weights(
        conv32.Conv32BigDecoder(
            4, width=8, block_groups=2, output_groups=4, dtype="float64"
        )
    )
    z = random_inputs(model)
    y = conv_transpose_from_point(z, weights)
    for _ in range(3):
        skip = upsample_nearest(y)
        y = upsample_nearest(relu(group_norm(y, weights, 2)))
        y = conv(y, weights, padding="SAME")
        y = relu(group_norm(y, weights, 2))
        y = skip + conv(y, weights, padding="SAME")
    y = relu(group_norm(y, weights, 4))
    y = sigmoid(conv(y, weights, padding="SAME"))
    np.testing.assert_allclose(model(z), y, rtol=1e-9)


def test_conv32_big_decoder_has_the_authors_groups_by_default():
    groups = [
        layer.groups
        for layer in conv32.Conv32BigDecoder().layers
        if isinstance(layer, keras.layers.GroupNormalization)
    ]
    assert groups == [1, 1, 1, 1, 1, 1, 2]


def test_conv32_big_decoder_starts_xavier_uniform():
    model = conv32.Conv32BigDecoder(latent_dim=32)
    kernels = [weight for weight in model.get_weights() if weight.ndim == 4]
    fans = [16 * (32 + 128)] + 6 * [9 * (128 + 128)] + [9 * (128 + 3)]
    for kernel, fan in zip(kernels, fans, strict=True):
        bound = np.sqrt(6 / fan)
        assert 0.99 * bound < np.max(np.abs(kernel)) <= bound * (1 + 1e-6)


def test_spectrally_normalised_encoder_is_fixed_outside_training():
    model = conv32.Conv32BigEncoder(4, width=4, spectral_norm=True)
    plain = conv32.Conv32BigEncoder(4, width=4)
    x = random_inputs(model)
    weights = model.get_weights()
    first = model(x, training=False)
    np.testing.assert_array_equal(model(x, training=False), first)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)

    model(x, training=True)
    changed = [
        np.any(before != after)
        for before, after in zip(weights, model.get_weights(), strict=True)
    ]
    vectors = [weight.name == "u" for weight in model.weights]
    assert changed == vectors
    # One vector for each kernel.
    kernels = [weight for weight in plain.weights if len(weight.shape) == 4]
    assert sum(vectors) == len(kernels) == 17
    assert len(model.trainable_weights) == len(plain.weights)


def test_conv64_encoder_is_the_authors():
    model, weights = with_random_weights(
        conv64.Conv64Encoder(3, width=4, groups=2, dtype="float64")
    )
    x = random_inputs(model)
    y = x
    for _ in range(3):
        y = relu(group_norm(conv(y, weights, strides=2), weights, 2))
    y = dense(y, weights)[:, None, None]
    y = dense(relu(group_norm(y, weights, 2)), weights)
    np.testing.assert_allclose(model(x), y, rtol=1e-9)


def test_conv64_decoder_is_the_authors():
    model, weights = with_random_weights(
        conv64.Conv64Decoder(3, width=4, groups=2, dtype="float64")
    )
    z = random_inputs(model)
    y = conv_transpose_from_point(z, weights)
    y = relu(group_norm(y, weights, 2))
    for _ in range(3):
        y = conv_transpose(y, weights, strides=2, padding=1)
        y = relu(group_norm(y, weights, 2))
    y = sigmoid(conv_transpose(y, weights))
    np.testing.assert_allclose(model(z), y, rtol=1e-9)


@pytest.mark.parametrize("part", ["Encoder", "Decoder"])
def test_conv64_has_the_eight_groups_of_section_d3_by_default(part):
    model = getattr(networks, f"Conv64{part}")(width=8)
    groups = [
        layer.groups
        for layer in model.layers
        if isinstance(layer, keras.layers.GroupNormalization)
    ]
    assert groups == [8, 8, 8, 8]
