"""Mixed precision: low where it is fast, full where it decides.

Networks compute in the low precision of a mixed dtype policy. States, energies,
sums and weights keep that of the weights.
"""

import contextlib

import keras

from nae_tf.fast_layers import UpsampledConv2DTranspose

_LAYERS_WITH_KERNEL = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    UpsampledConv2DTranspose,
)


@contextlib.contextmanager
def kernels_cast_once(model: keras.Model):
    """Within the context, layers see kernels that are cast already.

    Keras casts a kernel on every use. The networks of a Langevin chain are
    called in every step, and their weights stand still. The values that the
    layers compute are the same. Weights cannot be changed within the context.

    Args:
        model: its layers with a mixed policy are looked for; others and
            layers of unknown classes are left as they are.
    """
    with keras.StatelessScope() as scope:
        for layer in _mixed_layers(model):
            if isinstance(layer, _LAYERS_WITH_KERNEL):
                kernel = keras.ops.cast(layer.kernel, layer.compute_dtype)
                scope.add_update((layer.kernel, kernel))
        yield


@contextlib.contextmanager
def exact_sums(model: keras.Model):
    """Within the context, gradients of weights are summed in full precision.

    TensorFlow adds up the gradient of a bias in the type of the layer, and in
    bfloat16 a sum over the positions of a batch of images loses most of its
    value. So layers add their biases in the type of the biases. Products keep
    the low precision: they are summed in float32 whatever their type. Layers
    with weights of which nothing is known compute in the type of these.

    Args:
        model: its layers with a mixed policy are changed and changed back.
    """
    with contextlib.ExitStack() as stack:
        for layer in _mixed_layers(model):
            if not isinstance(layer, _LAYERS_WITH_KERNEL):
                if layer.weights:
                    policy = keras.DTypePolicy(layer.variable_dtype)
                    stack.enter_context(_set(layer, "dtype_policy", policy))
            elif layer.bias is not None:
                stack.enter_context(_set(layer.bias, "_autocast", False))
        yield


@contextlib.contextmanager
def _set(owner, name, value):
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _mixed_layers(model):
    """Layers that compute in another type than that of their variables."""
    return [
        layer
        for layer in model._flatten_layers()
        if layer.compute_dtype != layer.variable_dtype
    ]
