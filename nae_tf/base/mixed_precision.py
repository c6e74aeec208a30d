"""Mixed precision: low where it is fast, full where it decides.

Chains and scores run in the low precision of a mixed dtype policy, updates of
the weights in that of the weights.
"""

import contextlib
import dataclasses
import weakref

import keras

_LAYERS_WITH_KERNEL = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
)


@dataclasses.dataclass
class _Change:
    """The layers of a model that compute in full precision for a while."""

    visitors: int = 0
    policies: list[tuple] = dataclasses.field(default_factory=list)


_changes: weakref.WeakKeyDictionary[keras.Model, _Change] = (
    weakref.WeakKeyDictionary()
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
    layers = [
        layer
        for layer in _mixed_layers(model)
        if isinstance(layer, _LAYERS_WITH_KERNEL)
        or getattr(layer, "casts_kernel", False)
    ]
    if not layers:
        # Layers with a state that changes at every call can have no scope.
        yield
        return
    with keras.StatelessScope() as scope:
        for layer in layers:
            kernel = keras.ops.cast(layer.kernel, layer.compute_dtype)
            scope.add_update((layer.kernel, kernel))
        yield


@contextlib.contextmanager
def full_precision(model: keras.Model):
    """Within the context, layers compute in the type of their variables.

    For gradients with respect to weights. TensorFlow adds up the gradient of a
    bias in the type of the layer, and in bfloat16 a sum over the positions of
    a batch of images loses most of its value.

    The replicas of a process are threads that share the layers and take turns
    where they wait for each other: the first one to come changes the layers,
    the last one to leave changes them back.

    Args:
        model: its layers with a mixed policy are changed and changed back.
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
    """Layers that compute in another type than that of their variables."""
    return [
        layer
        for layer in model._flatten_layers()
        if layer.compute_dtype != layer.variable_dtype
    ]
