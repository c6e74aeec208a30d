"""What Keras's own methods do on a detector: the right thing, or one line.

Keras knows models that are called, compiled with a loss, and saved in files of
several kinds. A detector has its own loss and answers scores.
"""

import os
import warnings

import keras
import numpy as np

from nae_tf.base.loss_model import LossModel
from nae_tf.base.private import all_layers, is_saving_older_file
from nae_tf.base.saving import Serializable, serialize_arguments


class KerasWays(LossModel):
    """A model whose inherited methods fit a detector."""

    example_shape: tuple[int, ...] = ()

    # --- Shapes, which tools such as MLflow read ------------------------------

    @property
    def input_shape(self) -> tuple:
        """Shape of a batch of examples, (None, ...).

        Raises:
            AttributeError: if the model has no weights yet.
        """
        if not self.built:
            raise AttributeError(
                f"{type(self).__name__}: the model has no weights yet, and no "
                "input_shape; fit it first, or give it networks of known "
                "input shape."
            )
        return (None, *self.example_shape)

    @property
    def output_shape(self) -> tuple:
        """Shape of a batch of reconstructions, that of `input_shape`.

        Raises:
            AttributeError: if the model has no weights yet.
        """
        return self.input_shape

    # --- Graphs ---------------------------------------------------------------

    def forget_graphs(self):
        """Forget traced graphs, because a setting in them has changed."""
        raise NotImplementedError

    def forget_graphs_of_other_networks(self):
        """Forget traced graphs if layers, dtypes or variables are others.

        A graph goes on with the layers that it was traced with.
        """
        networks = _Networks(self)
        before = self.__dict__.get("_networks_of_graphs")
        if before is not None and before != networks:
            self.forget_graphs()
        # Not an attribute that Keras would search for layers to save.
        self.__dict__["_networks_of_graphs"] = networks

    def quantize(self, *args, **kwargs):
        """Quantize the networks with the arguments of `keras.Model.quantize`.

        Scores change a little: calibrate after it, not before.
        """
        super().quantize(*args, **kwargs)
        self.forget_graphs()

    # --- Files ----------------------------------------------------------------

    def save(self, filepath, *args, **kwargs):
        """Save with the arguments of `keras.Model.save`, as a `.keras` file.

        Raises:
            ValueError: if the file would be the older HDF5 file of Keras, which
                could not be loaded again.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise self._older_file(repr(str(filepath)))
        return super().save(filepath, *args, **kwargs)

    def get_config(self):
        """Return the arguments of the constructor, serialised.

        Raises:
            ValueError: if `keras.saving.save_model`, which calls no method of
                the model, writes the older HDF5 file of Keras.
        """
        if is_saving_older_file():
            raise self._older_file("'.h5' or '.hdf5'")
        return serialize_arguments(self, **self.renamed_arguments())

    def renamed_arguments(self) -> dict:
        """Return the constructor's arguments that are not attributes, by name.

        All others are attributes of the same name.
        """
        return {"dtype": self.dtype_policy}

    def _older_file(self, received):
        return ValueError(
            f"{type(self).__name__}.save: expected a file that ends in "
            f"'.keras', received {received}, which Keras could not load again; "
            "choose '.keras', or save_weights and '.weights.h5'."
        )

    def export(self, filepath, *args, **kwargs):
        """Export reconstructions with the arguments of `keras.Model.export`.

        To serve scores, take `nae_tf.export_model`, or export `score_model()`.

        Raises:
            ValueError: if the model has no weights yet.
        """
        self._call_once()
        return super().export(os.fspath(filepath), *args, **kwargs)

    def score_model(self) -> keras.Model:
        """Return a Keras model from examples to outlier scores.

        It shares its weights with this model, and is what `keras.Model.export`
        in all its formats, MLflow or another tool for Keras models should get:
        the detector itself, when called, reconstructs.

        Returns:
            Functional model, float [batch, ...] -> float [batch].

        Raises:
            ValueError: if the model has no weights yet.

        Example:
            >>> import numpy as np
            >>> from nae_tf import Autoencoder
            >>> from nae_tf.networks import MLPDecoder, MLPEncoder
            >>> shapes = dict(latent_dim=2, example_shape=(3,))
            >>> model = Autoencoder(MLPEncoder(**shapes), MLPDecoder(**shapes))
            >>> model.score_model().predict(np.zeros((5, 3)), verbose=0).shape
            (5,)
        """
        self._call_once()
        examples = keras.Input(self.example_shape, dtype=self.variable_dtype)
        model = keras.Model(examples, OutlierScore(self)(examples))
        # Keras exports no model to ONNX that was never called.
        model(np.zeros((1, *self.example_shape), self.variable_dtype))
        return model

    def _call_once(self):
        """Call a built model, because Keras exports no other.

        Raises:
            ValueError: if the model has no weights yet.
        """
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}: the model has no weights to export "
                "yet; fit it first, or give it networks of known input shape."
            )
        self(np.zeros((1, *self.example_shape), self.variable_dtype))


@keras.saving.register_keras_serializable(package="nae_tf")
class OutlierScore(Serializable, keras.layers.Layer):
    """The outlier score of a detector as a layer.

    Args:
        detector: a built `OutlierDetector`.
        name: name of the layer.
    """

    def __init__(self, detector, name=None):
        """Keep the detector."""
        super().__init__(name=name, dtype=detector.dtype_policy)
        self.detector = detector

    def call(self, x):
        """Score examples, float [batch, ...] -> float [batch]."""
        return self.detector.outlier_score(self.detector.standardized(x))

    def compute_output_spec(self, x):
        """Return the shape and dtype of the scores of examples."""
        return keras.KerasTensor(x.shape[:1], self.detector.variable_dtype)


def warn_of_distribution():
    """Warn if Keras is to distribute training, which TensorFlow ignores."""
    if keras.distribution.distribution() is not None:
        warnings.warn(
            "keras.distribution has no effect on the TensorFlow backend: one "
            "device trains; build and fit the model in the scope of a "
            "tf.distribute strategy.",
            stacklevel=3,
        )


class _Networks:
    """The layers of a model with their dtypes and variables, as they are."""

    def __init__(self, model):
        self.parts = [
            part
            for layer in all_layers(model)
            for part in (layer, layer.dtype_policy.name, *layer.variables)
        ]

    def __eq__(self, other):
        return len(self.parts) == len(other.parts) and all(
            a is b or (isinstance(a, str) and a == b)
            for a, b in zip(self.parts, other.parts, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]
