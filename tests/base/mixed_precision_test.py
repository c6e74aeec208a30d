import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf import NAE, Autoencoder, ContrastiveDivergence, LangevinChain
from nae_tf.base.mixed_precision import full_precision, kernels_cast_once
from nae_tf.networks.conv28 import Conv28Decoder, Conv28Encoder


class Scale(keras.layers.Layer):
    """A layer of a user, whose weight must stay in float32."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(), autocast=False)

    def call(self, x):
        assert self.kernel.dtype == "float32"
        return x * tf.cast(self.kernel, x.dtype)


def count_casts(model, x, context):
    """Number of casts to bfloat16 within ten calls, in a loop."""

    def call(x):
        with context(model):
            return tf.while_loop(
                lambda step, _: step < 10,
                lambda step, _: (step + 1, model(x)),
                (0, model(x)),
            )[1]

    graph = tf.function(call).get_concrete_function(x).graph
    body = graph.as_graph_def().library.function
    return sum(
        node.op == "Cast"
        and node.attr["DstT"].type == tf.bfloat16.as_datatype_enum
        for function in body
        for node in function.node_def
    )


def test_values_are_the_same_and_kernels_are_cast_outside_the_loop():
    model = Conv28Decoder(3, width=2, dtype="mixed_bfloat16")
    x = tf.random.stateless_normal((2, 3), (1, 2))
    plain = model(x)
    with kernels_cast_once(model):
        np.testing.assert_array_equal(model(x), plain)
    every_step = count_casts(model, x, lambda model: tf.name_scope("plain"))
    once = count_casts(model, x, kernels_cast_once)
    # Of every layer the bias is still cast, and once the input.
    assert every_step - once == 5


def test_layers_of_unknown_classes_and_of_one_type_are_left_alone():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, dtype="float32")(inputs)
    x = Scale(dtype="mixed_bfloat16")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(x))
    x = tf.ones((1, 4))
    expected = model(x)
    with kernels_cast_once(model):
        np.testing.assert_array_equal(model(x), expected)


def trained_weights(make, precision):
    """Weights after a step of plain gradient descent, and those before."""
    keras.utils.set_random_seed(0)
    model = make(
        Conv28Encoder(3, 4, 8, dtype=precision),
        Conv28Decoder(3, 4, dtype=precision),
    )
    before = [weight.numpy() for weight in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.1))
    x = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
    model.train_on_batch(x.astype("float32"))
    after = [weight.numpy() for weight in model.trainable_variables]
    return before, after, model


@pytest.mark.parametrize(
    "make",
    [
        Autoencoder,
        # Negative samples are the data, so they too are the same.
        lambda *networks: NAE(
            *networks,
            ContrastiveDivergence(visible_chain=LangevinChain(0, 0.1)),
        ),
    ],
)
def test_weights_are_updated_in_their_own_precision(make):
    before, expected, _ = trained_weights(make, "float32")
    start, after, model = trained_weights(make, "mixed_bfloat16")
    for value, weight in zip(start, before, strict=True):
        np.testing.assert_array_equal(value, weight)
    for value, weight, old in zip(after, expected, before, strict=True):
        change = np.max(np.abs(weight - old))
        np.testing.assert_allclose(value, weight, atol=1e-4 * change + 1e-9)
    assert model.encoder.compute_dtype == "bfloat16"
    for layer in model.decoder.layers[1:]:
        assert layer.compute_dtype == "bfloat16"


def test_policies_come_back_after_an_error():
    model = Conv28Decoder(3, width=2, dtype="mixed_bfloat16")
    with pytest.raises(KeyError), full_precision(model):
        assert model(tf.zeros((1, 3))).dtype == "float32"
        raise KeyError
    assert model(tf.zeros((1, 3))).dtype == "bfloat16"
