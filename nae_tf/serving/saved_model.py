"""An exported model, opened in Python to score examples."""

import pathlib

import numpy as np
import tensorflow as tf

from nae_tf.base.data_frames import from_data_frame, is_data_frame
from nae_tf.base.input_checks import refuse_bad_status
from nae_tf.base.setting_checks import check_number
from nae_tf.base.untrusted import load_saved_model
from nae_tf.data.schema import Schema

# Outputs that `nae_tf.score` writes.
_SCORES = frozenset(["energy", "p_value", "is_outlier"])


class ExportedModel:
    """A SavedModel of `export_model` that scores examples.

    Attributes:
        loaded: what `tf.saved_model.load` returned.
        example_shape: shape of one example.
        schema: schema of the training's examples, or None if the export
            carries none.
        value_range: (low, high), the range of valid values; None for any, or
            if an older export does not say.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import (
        ...     Autoencoder,
        ...     Calibration,
        ...     ExportedModel,
        ...     export_model,
        ... )
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> calibration = Calibration([0.1, 0.2, 0.3])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export_model(model, calibration, folder)
        ...     exported = ExportedModel(path)
        >>> exported.example_shape
        (3,)
        >>> sorted(exported.score(np.zeros((5, 3))))
        ['conditional_p_value', 'energy', 'is_outlier', 'p_value', 'status']
    """

    def __init__(self, path, trust_model: bool = False):
        """Load a model.

        Args:
            path: directory of a version, such as runs/digits/export/1.
            trust_model: whether the model may reach out of its graphs and its
                folder: an operation that no export needs can read and write
                files.

        Raises:
            FileNotFoundError: if there is no SavedModel.
            ValueError: if it is damaged, another kind of model, or is not
                trusted and reaches out of its graphs or its folder.
        """
        refuse_other_formats(pathlib.Path(path))
        self.loaded = load_saved_model(path, trust_model)
        if "score" not in self.loaded.signatures:
            raise ValueError(
                f"{str(path)!r} has no signature 'score'; write it by "
                "nae_tf.export."
            )
        self._score = self.loaded.signatures["score"]
        self._path = str(path)
        self._spec = _checked_input(path, self._score)
        self.example_shape = tuple(self._spec.shape[1:])
        self.schema = _read_schema(path, self.example_shape)
        self.value_range = _value_range(self.loaded)

    def score(
        self, examples, false_alarm_rate: float | None = None
    ) -> dict[str, np.ndarray]:
        """Score a batch of examples.

        Args:
            examples: float `[batch, *example_shape]`, or a DataFrame, whose
                columns are put in order by their names.
            false_alarm_rate: share of inliers that may be called outliers, in
                (0, 1); None for that of the calibration.

        Returns:
            Arrays [batch] by name. "energy" is the outlier score, "p_value" and
            "conditional_p_value" are low for outliers, "is_outlier" is bool,
            "status" is 0.

        Raises:
            ValueError: if the examples have another shape, the name of a
                feature is missing or unknown, or values are NaN or out of
                range.
            InvalidArgumentError: if values are NaN or out of range and the
                export is one of an older version.
        """
        answers = self.outputs(examples, false_alarm_rate)
        # Older exports have an assertion in its place.
        if "status" in answers:
            refuse_bad_status(answers["status"], self.value_range)
        return answers

    def outputs(
        self, examples, false_alarm_rate: float | None = None
    ) -> dict[str, np.ndarray]:
        """Score a batch as `score`, bad examples apart.

        Arguments and results are those of `score`. An example with NaN or
        values out of range gets the energy NaN, is an outlier, and its "status"
        says why.

        Raises:
            ValueError: if the examples have another shape, or the name of a
                feature is missing or unknown.
        """
        if is_data_frame(examples):
            named = from_data_frame(
                "ExportedModel.score", examples, self._spec.dtype.as_numpy_dtype
            )
            examples = named.values
            if self.schema is not None:
                order = self.schema.order("the DataFrame", named.names)
                examples = examples if order is None else examples[:, order]
        examples = np.asarray(examples)
        if examples.shape[1:] != self.example_shape:
            raise ValueError(
                "Bad input: the model takes examples of shape "
                f"{list(self.example_shape)}, received "
                f"{list(examples.shape[1:])}."
            )
        x = tf.constant(examples, self._spec.dtype)
        if false_alarm_rate is None:
            outputs = self._score(examples=x)
        else:
            outputs = self._score_at(x, false_alarm_rate)
        return {name: value.numpy() for name, value in outputs.items()}

    def check_false_alarm_rate(self, false_alarm_rate: float):
        """Refuse a rate that `score` cannot take.

        Args:
            false_alarm_rate: share of inliers that may be called outliers.

        Raises:
            ValueError: if it is not in (0, 1), or the export is an older one.
        """
        check_number(
            "ExportedModel.score",
            "false_alarm_rate",
            false_alarm_rate,
            "(0, 1)",
        )
        if "score_at" not in self.loaded.signatures:
            raise ValueError(
                f"{self._path!r} is an older export, whose rate of false "
                "alarms cannot be chosen; export again, or nae-tf recalibrate."
            )

    def _score_at(self, x, false_alarm_rate):
        self.check_false_alarm_rate(false_alarm_rate)
        rates = tf.fill(tf.shape(x)[:1], tf.constant(false_alarm_rate))
        return self.loaded.signatures["score_at"](
            examples=x, false_alarm_rate=rates
        )


def _value_range(loaded):
    variable = getattr(loaded, "value_range", None)
    return None if variable is None else tuple(variable.numpy().tolist())


def _checked_input(path, score):
    """Return the spec of the examples; refuse signatures of other models."""
    inputs = score.structured_input_signature[1]
    outputs = score.structured_outputs
    if list(inputs) != ["examples"] or not set(outputs) >= _SCORES:
        raise ValueError(
            f"{str(path)!r} has a signature 'score' of {sorted(inputs)} to "
            f"{sorted(outputs)}, expected ['examples'] to {sorted(_SCORES)}; "
            "write it by nae_tf.export."
        )
    spec = inputs["examples"]
    if not spec.shape[1:].is_fully_defined():
        raise ValueError(
            f"{str(path)!r} takes examples of shape {spec.shape}, expected one "
            "known shape for all examples; write it by nae_tf.export."
        )
    return spec


def _read_schema(path, example_shape):
    """Read the schema beside a model; exports of old have none."""
    file = pathlib.Path(path) / "assets.extra" / "schema.json"
    if not file.exists():
        return None
    try:
        schema = Schema.from_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(file)!r} cannot be read: {error}") from error
    if difference := schema.difference(example_shape, schema.num_levels):
        raise ValueError(
            f"{str(file)!r} is of another model: this one takes examples of "
            f"{difference}."
        )
    return schema


def refuse_other_formats(path: pathlib.Path):
    """Refuse the folder of a model for another runtime.

    Args:
        path: directory of a version.

    Raises:
        ValueError: if `export_for_device` wrote it.
    """
    if (path / "metadata.json").exists():
        raise ValueError(
            f"{str(path)!r} holds a model for another runtime than TensorFlow; "
            "name a SavedModel, which nae-tf export writes by default, as "
            "runs/digits/export/1."
        )
