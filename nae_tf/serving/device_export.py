"""Export of a model for another runtime: LiteRT, ONNX or OpenVINO."""

import json
import pathlib
import re
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from nae_tf.base.setting_checks import check_choice
from nae_tf.base.ties import TIE_TOLERANCE
from nae_tf.data.schema import Schema
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.device_formats import FORMATS, DeviceFormat
from nae_tf.serving.device_graphs import device_functions
from nae_tf.serving.export import new_version, schema_of

_NUM_MADE_EXAMPLES = 32
# Where messages of converters name the operations that they do not know.
_OPERATIONS = (
    r"'tf\.(\w+)' op",
    r"In Node, \(\"[^\"]*\", (\w+)",
    r"No conversion rule found for operations: ([\w, ]+)",
)


class DeviceExport(NamedTuple):
    """What `export_for_device` wrote.

    Attributes:
        path: the folder of the new version.
        num_checked: number of examples whose energies were compared.
        difference: the largest difference of an energy from the model's own.

    Example:
        >>> import pathlib
        >>> from nae_tf.serving import DeviceExport
        >>> written = DeviceExport(pathlib.Path("onnx/1"), 64, 3e-9)
        >>> print(f"{written.path}: agrees to {written.difference:g}")
        onnx/1: agrees to 3e-09
    """

    path: pathlib.Path
    num_checked: int
    difference: float


def export_for_device(
    model,
    calibration: Calibration,
    directory,
    format: str,
    version: int | None = None,
    config: str | None = None,
    schema: Schema | None = None,
    examples=None,
) -> DeviceExport:
    """Write a model for another runtime, complete or not at all.

    The files `score` and, of a model with an encoder and a decoder,
    `reconstruct` take "examples" and give the outputs of the SavedModel's
    signatures of these names: checks, units, p-values and decisions are part of
    them. Beside them stand metadata.json, calibration.json, schema.json and
    config.gin. The metadata are also in the files themselves. What was written
    is run once, and refused if its energies are not the model's.

    Args:
        model: a built `OutlierDetector`.
        calibration: scores of held-out inliers under `model`.
        directory: folder of all versions.
        format: "litert", "onnx" or "openvino".
        version: number of the version, > 0; None means the next free one.
        config: text of the gin configuration to keep beside the model.
        schema: schema of the training's examples. None means the names of
            features of a model that was fitted to a data frame, if it was.
        examples: float [number, ...] to check the files by, in the units of the
            data. None means random ones.

    Returns:
        The path of the new version, and how well it agrees with the model.

    Raises:
        FileExistsError: if there is such a version already.
        ModuleNotFoundError: if a library of the format is not installed.
        OSError: if it could not be written; nothing of it stays.
        ValueError: if the format is unknown, the model has no weights yet, it
            cannot be converted, or the schema is of another model.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> from nae_tf import Autoencoder, Calibration
        >>> from nae_tf.serving import export_for_device
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> calibration = Calibration([0.1, 0.2, 0.3])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_for_device(model, calibration, folder, "tensorrt")
        Traceback (most recent call last):
        ValueError: export_for_device: expected format 'litert', 'onnx' or ...
    """
    check_choice("export_for_device", "format", format, list(FORMATS))
    chosen = FORMATS[format]
    schema = schema_of(model, schema)
    functions = device_functions(model, calibration)
    chosen.require(directory)
    if examples is None:
        examples = _made_examples(model)
    examples = np.asarray(examples, model.variable_dtype)
    expected = model.predict_outlier_score(examples)
    facts = device_metadata(model, calibration, schema)
    with new_version(directory, version) as (temporary, path):
        temporary.mkdir()
        for name, function in functions.items():
            file = temporary / f"{name}{chosen.suffix}"
            _convert(chosen, model, function, name, file, facts)
        energies = _energies(chosen, model, temporary, examples)
        difference = np.max(np.abs(energies - expected))
        scale = np.maximum(np.abs(expected), np.median(calibration.scores))
        if not np.all(np.abs(energies - expected) <= TIE_TOLERANCE * scale):
            raise ValueError(
                f"{type(model).__name__}: its energies in {chosen.title} "
                f"differ from its own by up to {difference:.2g}, expected at "
                f"most {TIE_TOLERANCE:g} of an energy; nothing was written. "
                "Choose another format."
            )
        facts |= {
            "format": format,
            "num_checked_examples": len(examples),
            "largest_difference": float(difference),
        }
        texts = {
            "metadata.json": json.dumps(facts, indent=2) + "\n",
            "calibration.json": calibration.to_json(),
            "config.gin": config,
            "schema.json": None if schema is None else schema.to_json(),
        }
        for name, text in texts.items():
            if text is not None:
                (temporary / name).write_text(text, encoding="utf-8")
    return DeviceExport(path, len(examples), float(difference))


def device_metadata(
    model, calibration: Calibration, schema: Schema | None
) -> dict[str, Any]:
    """Return what a user of the files has to know, as values of JSON.

    Args:
        model: a built `OutlierDetector`.
        calibration: scores of held-out inliers under `model`.
        schema: schema of the training's examples, or None.
    """
    threshold = calibration.threshold
    return {
        "nae_tf": metadata.version("nae-tf"),
        "model": type(model).__name__,
        "dtype": model.variable_dtype,
        "example_shape": list(model.example_shape),
        "value_range": model.value_range,
        "feature_names": None if schema is None else schema.names,
        "units": {} if schema is None else dict(schema.units),
        # No number of JSON is infinite.
        "threshold": threshold if np.isfinite(threshold) else None,
        "false_alarm_rate": calibration.false_alarm_rate,
        "num_calibration_scores": len(calibration.scores),
    }


def _convert(chosen: DeviceFormat, model, function, name, file, facts):
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in facts.items()
    }
    try:
        chosen.write(function, name, file, texts)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # Every converter has its own kinds.
        raise _refusal(chosen, model, error) from error


def _energies(chosen: DeviceFormat, model, folder, examples):
    try:
        run = chosen.load(folder / f"score{chosen.suffix}", "score")
        return run(examples)["energy"]
    except (OSError, MemoryError):
        raise
    except Exception as error:  # Each runtime has its own.
        raise _refusal(chosen, model, error) from error


def _refusal(chosen: DeviceFormat, model, error) -> ValueError:
    """Return the error of a model that a format cannot hold."""
    text = str(error)
    operations = {
        name
        for pattern in _OPERATIONS
        for found in re.findall(pattern, text)
        for name in re.split(r",\s*", found)
    }
    if operations:
        first, *more = sorted(operations)
        others = f" and {len(more)} more" if more else ""
        reason = f"it has the operation {first}{others}"
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = (lines or [type(error).__name__])[0][:200].rstrip(".")
    return ValueError(
        f"{type(model).__name__} cannot be converted to {chosen.title}: "
        f"{reason}. Choose --format=saved_model, which takes every model, or "
        "distil it into a small network by nae-tf distil."
    )


def _made_examples(model):
    """Return random examples, in the units of the data."""
    random = np.random.default_rng(0)
    shape = (_NUM_MADE_EXAMPLES, *model.example_shape)
    if model.value_range is not None:
        low, high = model.value_range
        return random.uniform(low, high, shape)
    values = random.normal(size=shape).astype(model.variable_dtype)
    return np.asarray(model.unstandardized(values))
