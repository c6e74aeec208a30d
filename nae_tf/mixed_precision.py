"""Mixed precision: low where it is fast, full where it decides.

Chains and scores run in the low precision of a mixed dtype policy, updates of
the weights in that of the weights.
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
def full_precision(model: keras.Model):
    """Within the context, layers compute in the type of their variables.

    For gradients with respect to weights. TensorFlow adds up the gradient of a
    bias in the type of the layer, and in bfloat16 a sum over the positions of
    a batch of images loses most of its value.

    Args:
        model: its layers with a mixed policy are changed and changed back.
    """
    mixed = _mixed_layers(model)
    policies = [layer.dtype_policy for layer in mixed]
    try:
        for layer in mixed:
            layer.dtype_policy = keras.DTypePolicy(layer.variable_dtype)
        yield
    finally:
        for layer, policy in zip(mixed, policies, strict=True):
            layer.dtype_policy = policy


def _mixed_layers(model):
    """Layers that compute in another type than that of their variables."""
    return [
        layer
        for layer in model._flatten_layers()
        if layer.compute_dtype != layer.variable_dtype
    ]
