"""One low-precision copy of the kernels for many calls of a network.

With a mixed dtype policy Keras casts a kernel on every use. The networks of a
Langevin chain are called in every step, and their weights stand still.
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

    The values that the layers compute are the same. Weights cannot be changed
    within the context.

    Args:
        model: its layers with a mixed policy are looked for; others and
            layers of unknown classes are left as they are.
    """
    with keras.StatelessScope() as scope:
        for layer in model._flatten_layers():
            mixed = layer.compute_dtype != layer.variable_dtype
            if mixed and isinstance(layer, _LAYERS_WITH_KERNEL):
                kernel = keras.ops.cast(layer.kernel, layer.compute_dtype)
                scope.add_update((layer.kernel, kernel))
        yield
