import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_layers import random_inputs

from nae_tf import networks
from nae_tf.networks import conv28, conv32, mlp
from nae_tf.networks.network import LayerBuilder

# Every network, small enough to be built often.
PAIRS = {
    "Conv28": {"latent_dim": 4, "width": 4},
    "FCRes2": {"latent_dim": 3, "units": 8, "hidden_units": 16},
    "MLP": {"latent_dim": 3, "example_shape": (8, 8, 1), "hidden_units": (5,)},
    "Conv32": {"latent_dim": 4, "width": 4},
    "Conv32Big": {"latent_dim": 4, "width": 4},
    "Conv64": {"latent_dim": 4, "width": 4, "groups": 2},
}
NETWORKS = [
    (getattr(networks, name + part), arguments)
    for name, arguments in PAIRS.items()
    for part in ("Encoder", "Decoder")
]
NETWORKS += [
    (conv32.Conv32BigEncoder, {"width": 4, "spectral_norm": True}),
    (mlp.MLPDecoder, {**PAIRS["MLP"], "output_activation": None}),
]
every_network = pytest.mark.parametrize(
    ("network", "arguments"),
    NETWORKS,
    ids=lambda value: getattr(value, "__name__", ""),
)


def value_and_gradients(layer, x):
    """Output, gradients of a fixed function of it for x and the weights."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        weight = tf.reshape(tf.range(tf.size(y)), tf.shape(y))
        value = tf.reduce_sum(y**2 * tf.cast(weight, y.dtype))
    return y, *tape.gradient(value, [x, *layer.trainable_variables])


def model_of(operation, shape):
    """A float64 model of one `LayerBuilder` operation."""
    build = LayerBuilder("float64")
    inputs = build.input(shape)
    return keras.Model(inputs, operation(build, inputs))


def test_conv_to_point_equals_convolution_with_the_same_weights():
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 4, 2)))
    model = model_of(
        lambda build, x: build.conv_to_point(x, 5, activation="relu"), (4, 4, 2)
    )
    twin = keras.layers.Conv2D(5, 4, activation="relu", dtype="float64")
    twin.build((None, 4, 4, 2))
    for weight, own in zip(twin.weights, model.weights, strict=True):
        weight.assign(tf.reshape(own, weight.shape))
    for got, expected in zip(
        value_and_gradients(model, x), value_and_gradients(twin, x), strict=True
    ):
        np.testing.assert_allclose(
            np.ravel(got), np.ravel(expected), rtol=1e-9, atol=1e-9
        )


def test_conv_transpose_from_point_equals_transposed_convolution():
    z = tf.constant(np.random.default_rng(0).normal(size=(3, 5)))
    model = model_of(
        lambda build, x: build.conv_transpose_from_point(
            x, 2, 4, activation="relu"
        ),
        (5,),
    )
    layer = keras.layers.Conv2DTranspose(2, 4, activation="relu")
    twin = keras.Sequential(
        [keras.Input((5,)), keras.layers.Reshape((1, 1, 5)), layer]
    )
    kernel, bias = model.get_weights()
    twin.set_weights([np.transpose(kernel, (1, 2, 3, 0)), bias])
    y, z_gradient, kernel_gradient, bias_gradient = value_and_gradients(
        model, z
    )
    expected = value_and_gradients(twin, tf.cast(z, "float32"))
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(y, expected[0], **tolerance)
    np.testing.assert_allclose(z_gradient, expected[1], **tolerance)
    np.testing.assert_allclose(
        np.transpose(kernel_gradient, (1, 2, 3, 0)), expected[2], **tolerance
    )
    np.testing.assert_allclose(bias_gradient, expected[3], **tolerance)


def test_leaky_relu_has_slope_one_fifth():
    model = model_of(lambda build, x: build.leaky_relu(x), (2,))
    y = model(np.array([[-1.0, 3.0]]))
    np.testing.assert_allclose(y, [[-0.2, 3.0]], rtol=1e-6)


def test_group_norm_has_torch_epsilon():
    model = model_of(lambda build, x: build.group_norm(x, 1), (1, 1, 2))
    # Mean 0, variance 1e-6: only a small epsilon lets the values grow.
    y = model(np.array([[[[-1e-3, 1e-3]]]]))
    expected = 1e-3 / np.sqrt(1e-6 + 1e-5)
    np.testing.assert_allclose(np.ravel(y), [-expected, expected], rtol=1e-4)


@every_network
def test_output_is_per_example(network, arguments):
    model = network(**arguments, dtype="float64")
    x = random_inputs(model, batch=3)
    together = model(x)
    alone = np.concatenate([model(x[i : i + 1]) for i in range(3)])
    assert together.shape == (3, *model.output_shape[1:])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


@every_network
@pytest.mark.parametrize(
    ("dtype", "weight_dtype", "output_dtype", "tolerance"),
    [
        ("float64", "float64", "float64", 0),
        ("float32", "float32", "float32", 1e-5),
        ("mixed_bfloat16", "float32", "bfloat16", 5e-2),
    ],
)
def test_dtype_is_followed(
    network, arguments, dtype, weight_dtype, output_dtype, tolerance
):
    model = network(**arguments, dtype=dtype)
    x = random_inputs(model)
    output = model(x)
    assert output.dtype == output_dtype
    assert {weight.dtype for weight in model.weights} == {weight_dtype}
    assert model.dtype_policy.name == dtype

    reference = network(**arguments, dtype="float64")
    reference.set_weights(model.get_weights())
    expected = reference(x).numpy()
    error = np.max(np.abs(np.asarray(output, "float64") - expected))
    assert error <= tolerance * np.max(np.abs(expected))


def test_global_dtype_policy_is_the_default():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    model = mlp.MLPEncoder(3, (4,))
    keras.config.set_dtype_policy(before)
    assert model(np.zeros((1, 4))).dtype == "float64"
    # A file written under one policy must load under another.
    restored = mlp.MLPEncoder.from_config(model.get_config())
    assert restored(np.zeros((1, 4))).dtype == "float64"


@every_network
def test_config_is_the_constructors_arguments(network, arguments):
    model = network(**arguments, dtype="float64", name="net")
    assert model.built
    config = model.get_config()
    assert config == {**config, **arguments, "dtype": "float64", "name": "net"}
    restored = network.from_config(config)
    assert type(restored) is network
    assert restored.get_config() == config
    # Files of older versions have nothing else.
    constructor = {key: config[key] for key in config if key != "trainable"}
    assert network(**constructor).get_config() == config
    assert network.from_config(constructor).get_config() == config
    shapes = [weight.shape for weight in model.weights]
    assert [weight.shape for weight in restored.weights] == shapes


def test_lists_in_a_config_are_the_tuples_of_the_constructor():
    model = mlp.MLPEncoder(3, [4, 2], [5])
    config = model.get_config()
    assert (config["example_shape"], config["hidden_units"]) == ((4, 2), (5,))
    assert model.get_config() == mlp.MLPEncoder.from_config(config).get_config()


def test_a_network_with_arguments_of_its_own_is_rebuilt():
    class Wide(mlp.MLPEncoder):
        def __init__(self, factor, **kwargs):
            super().__init__(2, (4,), (8 * factor,), **kwargs)

    model = Wide(3, name="wide")
    again = Wide.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match=r"MLPEncoder\.__init__.*'widht'"):
        mlp.MLPEncoder(3, (4,), widht=3)


@every_network
def test_keras_file_restores_the_network(network, arguments, tmp_path):
    model = network(**arguments)
    x = random_inputs(model)
    model(x, training=True)
    model.save(tmp_path / "network.keras")
    restored = keras.models.load_model(tmp_path / "network.keras")
    assert type(restored) is network
    np.testing.assert_array_equal(restored(x), model(x))


@keras.saving.register_keras_serializable(package="network_builder_test")
class Pair(keras.Model):
    """A model that keeps two networks in its config."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder

    def call(self, x):
        return self.decoder(self.encoder(x))

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        for part in ("encoder", "decoder"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


@pytest.mark.parametrize("name", PAIRS)
def test_keras_file_restores_networks_inside_a_model(name, tmp_path):
    encoder = getattr(networks, name + "Encoder")(**PAIRS[name])
    decoder = getattr(networks, name + "Decoder")(**PAIRS[name])
    model = Pair(encoder, decoder)
    x = random_inputs(encoder)
    expected = model(x)
    model.save(tmp_path / "pair.keras")
    restored = keras.models.load_model(tmp_path / "pair.keras")
    assert type(restored.encoder) is type(encoder)
    assert type(restored.decoder) is type(decoder)
    np.testing.assert_array_equal(restored(x), expected)


def test_networks_are_layers_of_a_functional_model():
    encoder = conv28.Conv28Encoder(4, width=4)
    decoder = conv28.Conv28Decoder(4, width=4)
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, decoder(encoder(inputs)))
    restored = keras.Model.from_config(model.get_config())
    restored.set_weights(model.get_weights())
    x = random_inputs(encoder)
    np.testing.assert_array_equal(restored(x), decoder(encoder(x)))
    assert type(restored.layers[1]) is conv28.Conv28Encoder


@every_network
def test_summary_lists_the_layers(network, arguments):
    lines = []
    model = network(**arguments)
    model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    # Long names are wrapped.
    assert all(layer.name[:12] in text for layer in model.layers)


@pytest.fixture
def clean_gin():
    gin.clear_config()
    yield
    gin.clear_config()


def test_gin_configures_references_but_not_direct_calls(clean_gin):
    gin.parse_config(
        """
        Conv28Encoder.width = 4
        Conv28Encoder.hidden_units = 16
        wide/Conv28Encoder.width = 8
        plain/macro.value = @Conv28Encoder()
        scoped/macro.value = @wide/Conv28Encoder()
        """
    )
    plain, scoped = (
        gin.query_parameter(f"{scope}/macro.value").scoped_configurable_fn()
        for scope in ("plain", "scoped")
    )
    assert type(plain) is conv28.Conv28Encoder
    assert plain.get_config()["width"] == 4
    assert plain.get_config()["hidden_units"] == 16
    assert scoped.get_config()["width"] == 8
    assert scoped.get_config()["hidden_units"] == 16
    direct = conv28.Conv28Encoder().get_config()
    assert (direct["width"], direct["hidden_units"]) == (32, 1024)


@every_network
def test_gin_builds_the_plain_class(network, arguments, clean_gin):
    gin.parse_config(f"{network.__name__}.name = 'from_gin'")
    model = gin.get_configurable(f"nae_tf.{network.__name__}")(**arguments)
    assert type(model) is network
    assert model.name == "from_gin"
