import keras
import numpy as np
import tensorflow as tf

from nae_tf.mixed_precision import kernels_cast_once
from nae_tf.networks import Conv28Decoder


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
