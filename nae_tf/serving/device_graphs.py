"""The graphs of a model for runtimes other than TensorFlow.

They answer as the SavedModel does: the same checks, units, p-values and
decisions. Two things differ, for the sake of converters. The networks are made
of Keras's own layers, and the shape of the examples is part of the graph, so
the runtime checks it.
"""

import tensorflow as tf

from nae_tf.networks import to_plain_network
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.signatures import (
    can_reconstruct,
    reconstruct_outputs,
    refuse_without_weights,
    score_outputs,
)


def device_functions(model, calibration: Calibration) -> dict:
    """Return the functions of a model that converters take.

    Args:
        model: a built `OutlierDetector`.
        calibration: scores of held-out inliers under `model`.

    Returns:
        A `tf.function` of "examples" by signature: "score", and "reconstruct"
        for a model with an encoder and a decoder.

    Raises:
        ValueError: if the model has no weights yet.
    """
    refuse_without_weights(model)
    plain = with_plain_networks(model)
    spec = tf.TensorSpec(
        (None, *model.example_shape), model.variable_dtype, name="examples"
    )

    def score(examples):
        return score_outputs(plain, calibration, examples)

    def reconstruct(examples):
        return reconstruct_outputs(plain, examples)

    functions = {"score": score}
    if can_reconstruct(model):
        functions["reconstruct"] = reconstruct
    return {
        name: tf.function(function, input_signature=[spec], autograph=False)
        for name, function in functions.items()
    }


def with_plain_networks(model):
    """Return a model that scores the same with networks of plain layers.

    It shares everything else with the model, and is there to be traced.
    Networks whose layers are not known stay as they are.

    Args:
        model: a built `OutlierDetector`.
    """
    plain = {}
    for name in ("encoder", "decoder"):
        if hasattr(model, name):
            try:
                plain[name] = to_plain_network(getattr(model, name))
            except ValueError:  # A network of its own `call`.
                continue
    # Not by assignment, which Keras would take for a change of the model.
    twin = object.__new__(type(model))
    vars(twin).update(vars(model) | plain)
    return twin
