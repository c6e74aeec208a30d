"""Mixed precision: low for chains and scores, full for updates of weights.

Chains and scores run in the low precision of a mixed dtype policy, updates in
the precision of the weights.
"""

import contextlib
import dataclasses
import weakref

import keras

from nae_tf.base.private import all_layers

_LAYERS_WITH_KERNEL = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
)


@dataclasses.dataclass
class _Change:
    """The layers of a model that compute in full precision for now."""

    visitors: int = 0
    policies: list[tuple] = dataclasses.field(default_factory=list)


_changes: weakref.WeakKeyDictionary[keras.Model, _Change] = (
    weakref.WeakKeyDictionary()
)


@contextlib.contextmanager
def kernels_cast_once(model: keras.Model):
    """Cast the kernels of a model once for the whole context.

    Keras casts a kernel on every use. A Langevin chain calls its networks in
    every step, while their weights stay the same. The layers compute the same
    values as before. Weights cannot be changed within the context.

    Args:
        model: model whose layers with a mixed policy are looked for. Layers of
            unknown classes still cast at every use.
    """
    layers = [
        layer
        for layer in _mixed_layers(model)
        if isinstance(layer, _LAYERS_WITH_KERNEL)
        or getattr(layer, "casts_kernel", False)
    ]
    if not layers:
        # A scope would lose the state of layers that change at every call.
        yield
        return
    with keras.StatelessScope() as scope:
        for layer in layers:
            kernel = keras.ops.cast(layer.kernel, layer.compute_dtype)
            scope.add_update((layer.kernel, kernel))
        yield


@contextlib.contextmanager
def full_precision(model: keras.Model):
    """Let layers compute in the type of their variables within the context.

    Gradients with respect to weights need this. TensorFlow adds up the gradient
    of a bias in the type of the layer, and in bfloat16 a sum over the positions
    of a batch of images loses most of its value.

    The replicas of a process are threads that share the layers. The first
    replica to enter changes the layers, the last one to leave changes them
    back.

    Args:
        model: model whose layers with a mixed policy are changed.
    """
    change = _changes.setdefault(model, _Change())
    if change.visitors == 0:
        change.policies = [
            (layer, layer.dtype_policy) for layer in _mixed_layers(model)
        ]
        for layer, _ in change.policies:
            layer.dtype_policy = keras.DTypePolicy(layer.variable_dtype)
    change.visitors += 1
    try:
        yield
    finally:
        change.visitors -= 1
        if change.visitors == 0:
            for layer, policy in change.policies:
                layer.dtype_policy = policy
            change.policies = []


def _mixed_layers(model):
    """Return layers that compute in another type than their variables."""
    return [
        layer
        for layer in all_layers(model)
        if layer.compute_dtype != layer.variable_dtype
    ]
