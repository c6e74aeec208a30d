"""Requests to the signatures of an export, checked before they run."""

import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from nae_tf.serving.saved_model import ExportedModel

# Kinds of NumPy's dtypes that may stand for one: no text for a number, and no
# fraction for an integer, which NumPy would cut off.
_KINDS = {"f": "fiu", "i": "iu", "O": "OSU"}


class BadRequestError(ValueError):
    """A request cannot be answered; the message says why, in one line."""


class SignatureCalls:
    """The signatures of an export as functions of arrays.

    It may be called in several threads at once.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import Autoencoder, Calibration, export_model
        >>> from nae_tf.serving.signature_calls import SignatureCalls
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> calibration = Calibration([0.1, 0.2, 0.3])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     calls = SignatureCalls(
        ...         export_model(model, calibration, folder)
        ...     )
        >>> calls.answer("encode", {"examples": np.zeros((5, 3))})[
        ...     "latent"
        ... ].shape
        (5, 2)
    """

    def __init__(self, path, trust_model: bool = False):
        """Load an export.

        Args:
            path: directory of a version, such as runs/digits/export/1.
            trust_model: as for `ExportedModel`.

        Raises:
            FileNotFoundError: if there is no SavedModel.
            ValueError: if it is damaged, another kind of model, or is not
                trusted and reaches out of its graphs or its folder.
        """
        # The loaded object keeps the weights of the signatures.
        self._loaded = ExportedModel(path, trust_model).loaded
        self._functions = dict(self._loaded.signatures)

    def inputs(self, signature: str = "") -> dict[str, tf.TensorSpec]:
        """Return the specs of a signature's inputs by name.

        Args:
            signature: name of the signature; "" is "serving_default".

        Raises:
            BadRequestError: if there is no such signature.
        """
        return dict(self._function(signature).structured_input_signature[1])

    def outputs(self, signature: str = "") -> dict[str, tf.TensorSpec]:
        """Return the specs of a signature's outputs by name.

        Args:
            signature: name of the signature; "" is "serving_default".

        Raises:
            BadRequestError: if there is no such signature.
        """
        return dict(self._function(signature).structured_outputs)

    def answer(self, signature: str, inputs: Mapping) -> dict[str, np.ndarray]:
        """Call a signature.

        Args:
            signature: name of the signature; "" is "serving_default".
            inputs: arrays or nested lists by name of the input.

        Returns:
            Arrays by name of the output.

        Raises:
            BadRequestError: if the request does not fit the signature, or the
                graph refuses it.
        """
        specs = self.inputs(signature)
        if set(inputs) != set(specs):
            raise BadRequestError(
                f"expected the inputs {sorted(specs)}, received "
                f"{sorted(map(str, inputs))}."
            )
        arrays = {
            name: _array(name, inputs[name], spec)
            for name, spec in specs.items()
        }
        batches = {name: len(x) for name, x in arrays.items() if x.ndim}
        if len(set(batches.values())) > 1:
            raise BadRequestError(
                f"expected as many rows in each input, received {batches}."
            )
        tensors = {
            name: tf.constant(array, specs[name].dtype)
            for name, array in arrays.items()
        }
        try:
            outputs = self._function(signature)(**tensors)
            return {name: value.numpy() for name, value in outputs.items()}
        except tf.errors.InvalidArgumentError as error:
            raise BadRequestError(_reason(error.message)) from error

    def _function(self, signature):
        name = signature or "serving_default"
        if name not in self._functions:
            raise BadRequestError(
                f"there is no signature {name!r}; the export has "
                f"{sorted(self._functions)}."
            )
        return self._functions[name]


def _reason(message):
    """Return the line of TensorFlow's message that tells what was wrong."""
    line = message.partition("\n\t [[")[0].rpartition("\n")[2]
    if asserted := re.fullmatch(r"assertion failed: \[(.*)\]", line):
        line = asserted[1].replace("] [", " ")
    return line


def _array(name, value, spec):
    """Return an input as an array of its dtype; refuse what would not fit."""
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    sizes = ["batch" if size is None else size for size in spec.shape]
    expected = f"{name}: expected {spec.dtype.name} of shape {sizes}".replace(
        "'", ""
    )
    try:
        array = np.asarray(value, dtype if dtype.kind == "O" else None)
        if array.dtype.kind not in _KINDS[dtype.kind]:
            raise BadRequestError(f"{expected}, received other values.")
        cast = array.astype(dtype, casting="same_kind")
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, BadRequestError):
            raise
        raise BadRequestError(f"{expected}, received other values.") from error
    if dtype.kind == "i" and not np.array_equal(cast, array):
        raise BadRequestError(f"{expected}, received a larger number.")
    if dtype.kind == "O" and not all(isinstance(x, bytes) for x in cast.flat):
        raise BadRequestError(f"{expected}, received no bytes.")
    if not spec.shape.is_compatible_with(cast.shape):
        raise BadRequestError(f"{expected}, received {list(cast.shape)}.")
    return cast
