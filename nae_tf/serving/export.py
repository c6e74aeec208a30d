"""Export of a model as a SavedModel, with its calibration and configuration."""

import contextlib
import os
import pathlib
import shutil
import warnings
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from nae_tf.base.detector import OutlierDetector
from nae_tf.base.graph_operations import refused_operations
from nae_tf.base.setting_checks import check_instance, check_integer
from nae_tf.data.schema import Schema
from nae_tf.runs.disk import (
    explain_write_errors,
    flush_to_disk,
    flush_tree_to_disk,
)
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.signatures import RATES, make_signatures
from nae_tf.serving.warmup import write_warmup_requests


def export_model(
    model,
    calibration: Calibration,
    directory,
    version: int | None = None,
    config: str | None = None,
    schema: Schema | None = None,
) -> pathlib.Path:
    """Write a model as a SavedModel, complete or not at all.

    Args:
        model: a built `OutlierDetector`.
        calibration: scores of held-out inliers under `model`.
        directory: folder of all versions, the model path of a server.
        version: number of the version, > 0; None means the next free one.
        config: text of the gin configuration to keep beside the model.
        schema: schema of the training's examples, which is kept beside the
            model and checked when it scores files. None means the names of
            features of a model that was fitted to a data frame, if it was.

    Returns:
        The path of the new version.

    Raises:
        FileExistsError: if there is such a version already.
        OSError: if it could not be written; nothing of it stays.
        ValueError: if the model has no weights yet, the version is below 1, or
            the schema is of another model.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> from nae_tf import Autoencoder, Calibration, export_model
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> calibration = Calibration([0.1, 0.2, 0.3])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export_model(model, calibration, folder)
        ...     exists = pathlib.Path(path, "saved_model.pb").exists()
        >>> path.name, exists
        ('1', True)
    """
    check_instance("export_model", "model", model, OutlierDetector)
    check_instance("export_model", "calibration", calibration, Calibration)
    schema = schema_of(model, schema)
    signatures = make_signatures(
        model, calibration, None if schema is None else schema.max_level
    )
    module = tf.Module()
    # Only the variables of the graphs: no optimizer, no replay buffer.
    module.weights = _weights(signatures)
    if model.value_range is not None:
        module.value_range = tf.Variable(model.value_range, trainable=False)
    texts = {
        "calibration.json": calibration.to_json(),
        "config.gin": config,
        "schema.json": None if schema is None else schema.to_json(),
    }
    return write_version(directory, version, module, signatures, texts)


def schema_of(model, schema: Schema | None) -> Schema | None:
    """Return the schema that goes with a model.

    Args:
        model: a built `OutlierDetector`.
        schema: schema of the training's examples, if it is known.

    Returns:
        The schema, or else the names of a data frame that the model was fitted
        to, if it was.

    Raises:
        ValueError: if the schema is of another model.
    """
    if schema is None and model.frame_columns.names is not None:
        schema = Schema(model.example_shape, names=model.frame_columns.names)
    if schema is not None and (
        difference := schema.difference(model.example_shape, schema.num_levels)
    ):
        raise ValueError(
            f"export_model: the model takes examples of {difference}, as the "
            "schema has them; pass the schema of its own training."
        )
    return schema


def write_version(
    directory, version: int | None, module, signatures, texts
) -> pathlib.Path:
    """Write a SavedModel as a new version, complete or not at all.

    Args:
        directory: folder of all versions.
        version: number of the version, > 0; None means the next free one.
        module: `tf.Module` that tracks what the signatures need.
        signatures: concrete functions by name, with "score" among them.
        texts: text files of `assets.extra` by name; None is not written.

    Returns:
        The path of the new version.

    Raises:
        FileExistsError: if there is such a version already.
        OSError: if it could not be written; nothing of it stays.
        ValueError: if the version is below 1.
    """
    value_range = getattr(module, "value_range", None)
    if value_range is not None:
        value_range = tuple(value_range.numpy().tolist())
    with new_version(directory, version) as (temporary, path):
        requests = _warmup_requests(signatures, value_range)
        tf.saved_model.save(module, str(temporary), signatures=signatures)
        _write_extra(temporary, requests, texts)
        refused = _refused_operations(temporary)
    if refused:
        warnings.warn(
            f"{str(path)!r} has the operation {refused[0]!r}, which no method "
            "of this package needs; nae-tf score opens it with --trust_model.",
            stacklevel=3,
        )
    return path


@contextlib.contextmanager
def new_version(
    directory, version: int | None
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Have a new version written, complete or not at all.

    Args:
        directory: folder of all versions.
        version: number of the version, > 0; None means the next free one.

    Yields:
        The folder to write into, which is made by whoever writes, and the path
        that it has once it is complete.

    Raises:
        FileExistsError: if there is such a version already.
        OSError: if it could not be written; nothing of it stays.
        ValueError: if the version is below 1.
    """
    directory = pathlib.Path(directory)
    version = _next_version(directory) if version is None else version
    # A server reads it as an integer of 64 bits.
    check_integer("export_model", "version", version, 1, 2**63 - 1)
    path = directory / str(version)
    if path.exists():
        raise FileExistsError(
            f"{str(path)!r} exists already; choose another --version or remove "
            "it."
        )
    # A server ignores folders whose names are not numbers.
    temporary = directory / f".{version}.{os.getpid()}"
    with explain_write_errors(
        f"cannot export into {str(directory)!r}", "export again"
    ):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary, path
            flush_tree_to_disk(temporary)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        flush_to_disk(directory)


def _refused_operations(path):
    data = (path / "saved_model.pb").read_bytes()
    meta_graphs = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    return [name for graph in meta_graphs for name in refused_operations(graph)]


def _write_extra(path, requests, texts):
    extra = path / "assets.extra"
    extra.mkdir()
    write_warmup_requests(extra / "tf_serving_warmup_requests", requests)
    for name, text in texts.items():
        if text is not None:
            (extra / name).write_text(text, encoding="utf-8")


def _next_version(directory):
    if not directory.is_dir():
        return 1
    names = [path.name for path in directory.iterdir()]
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def _weights(signatures):
    weights: dict[int, tf.Variable] = {}
    for function in signatures.values():
        weights |= {id(weight): weight for weight in function.variables}
    return list(weights.values())


def _warmup_requests(signatures, value_range):
    """Return one small request for every signature."""
    (examples,), _ = signatures["score"].structured_input_signature
    # A server does not offer a model that refuses a warm-up request.
    example_value = np.clip(1.0, *(value_range or (1.0, 1.0)))

    def value(spec):
        if spec.dtype == tf.string:
            image = np.zeros(examples.shape[1:], np.uint8)
            return np.array([tf.io.encode_png(image).numpy()], object)
        shape = [1 if size is None else size for size in spec.shape]
        number = {examples.name: example_value, RATES.name: 0.5}.get(
            spec.name, 1
        )
        return np.full(shape, number, spec.dtype.as_numpy_dtype)

    return {
        name: {
            spec.name: value(spec)
            for spec in function.structured_input_signature[0]
        }
        for name, function in signatures.items()
    }
