"""Features of images, by which samples are compared with data.

Any function of images will do: a SavedModel of the user, a network trained here
on the data of the run, or the values themselves. Distances in different
features cannot be compared, so a report names its features.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.untrusted import load_saved_model
from nae_tf.data.task import Task

# A function of float [batch, ...] in the range of the data that returns float
# [batch, num_features].
FeatureFunction = Callable[[np.ndarray], np.ndarray]


def values(x: np.ndarray) -> np.ndarray:
    """Return the examples themselves as features, float [batch, num_values]."""
    return np.reshape(x, (len(x), -1))


def features_of(function: FeatureFunction, batches: Iterable) -> np.ndarray:
    """Return the features of all batches, float [number, num_features].

    Args:
        function: function of a batch that returns its features.
        batches: iterable of float [batch, ...].

    Raises:
        ValueError: if the features are not vectors, one per example.
    """
    parts = []
    for batch in batches:
        part = np.asarray(function(np.asarray(batch)))
        if part.ndim != 2 or len(part) != len(batch):
            raise ValueError(
                f"expected features of shape [{len(batch)}, num_features] for "
                f"{len(batch)} examples, received {list(part.shape)}."
            )
        parts.append(part)
    return np.concatenate(parts)


def saved_model_features(
    path, example_shape, trust_model: bool = False
) -> FeatureFunction:
    """Load a feature extractor, such as Inception cut at its last pooling.

    Args:
        path: directory of a SavedModel, as Keras's `model.export` writes it.
            Its signature "serving_default" takes one float tensor
            `[batch, *example_shape]`, images in [0, 1], and returns one tensor
            [batch, num_features]. The model itself resizes and rescales.
        example_shape: shape of one example of the run.
        trust_model: whether it may have operations that no export needs, as
            `ExportedModel` takes it.

    Returns:
        A function of float `[batch, *example_shape]` that returns float [batch,
        num_features].

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if it is damaged, has another signature, or takes other
            shapes or types.
    """
    loaded = load_saved_model(path, trust_model)
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise ValueError(
            f"the SavedModel {str(path)!r} has no signature 'serving_default', "
            f"only {sorted(loaded.signatures)}."
        )
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"the SavedModel {str(path)!r} must map one tensor to one, but its "
            f"inputs are {sorted(inputs)} and its outputs {sorted(outputs)}."
        )
    ((name, spec),) = inputs.items()
    (output,) = outputs
    if not spec.shape.is_compatible_with([None, *example_shape]):
        raise ValueError(
            f"the SavedModel {str(path)!r} takes shape {spec.shape}, but the "
            f"run's examples have {list(example_shape)}."
        )
    if not spec.dtype.is_floating:
        raise ValueError(
            f"the SavedModel {str(path)!r} takes {spec.dtype.name}, but the "
            "run's examples are floats; let it take floats in [0, 1] and "
            "rescale them itself."
        )

    def features(x, owner=loaded):
        # The signature does not keep the weights alive; their owner does.
        del owner
        return signature(**{name: tf.cast(x, spec.dtype)})[output].numpy()

    return features


# --- A classifier of the data -------------------------------------------------


class RotationClassifier(NamedTuple):
    """A network that predicts the angle by which an image is turned.

    It needs no labels, so it fits any run on images (Gidaris et al. 2018).

    Attributes:
        features: network from float [batch, height, width, channels] to float
            [batch, 128].
        accuracy: share of turned validation images that are classified right,
            in [0, 1]; chance is 1/4.
    """

    features: keras.Model
    accuracy: float


def train_rotation_classifier(
    task: Task, seed: int = 0, num_steps: int = 1_000, callbacks=()
) -> RotationClassifier:
    """Train a classifier of 0, 90, 180 and 270 degrees on a task's inliers.

    Args:
        task: source of the training examples, and of the validation examples
            that measure the accuracy.
        seed: seed of weights and batches, int >= 0.
        num_steps: number of steps of Adam, each on 32 images in all four
            directions.
        callbacks: callbacks of Keras's `fit`.

    Raises:
        ValueError: if the examples are not square images.
    """
    shape = task.example_shape
    if len(shape) != 3 or shape[0] != shape[1]:
        raise ValueError(
            "the classifier of rotations needs square images, received "
            f"examples of shape {list(shape)}; choose other --features."
        )
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    features = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, 2, padding="same", activation="relu"),
            layers.Conv2D(128, 3, 2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(dtype="float32"),
        ]
    )
    classifier = keras.Sequential([features, layers.Dense(4, dtype="float32")])
    classifier.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = task.train.training_batches(32, seed, dequantize=False)
    classifier.fit(
        batches.map(_all_rotations),
        steps_per_epoch=num_steps,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )
    validation = task.validation.batches(32).map(_all_rotations)
    _, accuracy = classifier.evaluate(validation, verbose=0)
    return RotationClassifier(features, accuracy)


def _all_rotations(images):
    """Return all four rotations of a batch of images, and their classes."""
    rotations = [tf.image.rot90(images, turns) for turns in range(4)]
    labels = tf.repeat(tf.range(4), tf.shape(images)[0])
    return tf.concat(rotations, 0), labels
