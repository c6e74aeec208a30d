"""Formats of other runtimes: LiteRT, ONNX and OpenVINO.

A format writes a function of examples as files, and answers by its runtime. The
libraries are optional; each format has an extra of its name.
"""

import dataclasses
import json
import pathlib
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nae_tf.data.readers.optional import library

Answers = Callable[[np.ndarray], dict[str, np.ndarray]]

# The newest that tf2onnx 1.17 knows.
_OPSET = 18
_METADATA = "nae_tf.json"


@dataclasses.dataclass(frozen=True)
class DeviceFormat:
    """A format that a model can be converted to.

    Attributes:
        title: its name in messages.
        extra: the extra that installs its libraries.
        modules: modules that it needs.
        suffix: suffix of its files.
        write: function that writes a `tf.function` of "examples", under its
            name, into a file with metadata.
        load: function that loads such a file, and returns a function of a batch
            of examples that returns the outputs by name.
    """

    title: str
    extra: str
    modules: tuple[str, ...]
    suffix: str
    write: Callable[[Any, str, pathlib.Path, Mapping[str, str]], None]
    load: Callable[[pathlib.Path, str], Answers]

    def require(self, path):
        """Import what the format needs.

        Args:
            path: what is to be written, named in the error message.

        Raises:
            ModuleNotFoundError: if a library is not installed; the line says
                how to install it.
        """
        for module in self.modules:
            library(path, self.title, module, self.extra)


def _write_litert(function, name, path, metadata):
    with tempfile.TemporaryDirectory() as folder:
        _save(function, name, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[name]
        )
        path.write_bytes(converter.convert())
    # The format's way for files that go with a model: a zip archive behind it.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_METADATA, json.dumps(metadata, indent=2) + "\n")


def _load_litert(path, name) -> Answers:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path)).get_signature_runner(name)
    return lambda examples: run(examples=examples)


def _write_onnx(function, name, path, metadata):
    import onnx
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=_OPSET
    )
    model.graph.name = name
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save_model(model, str(path))


def _load_onnx(path, name) -> Answers:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda examples: dict(
        zip(names, session.run(names, {"examples": examples}), strict=True)
    )


def _write_openvino(function, name, path, metadata):
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _save(function, name, folder)
        # Not by convert_model, which reports conversions to a server.
        model = openvino.Core().read_model(folder)
        for key, value in metadata.items():
            model.set_rt_info(value, ["nae_tf", key])
        # By default it would round the weights to half precision.
        openvino.save_model(model, str(path), compress_to_fp16=False)


def _load_openvino(path, name) -> Answers:
    import openvino

    # On processors that have it the default is bfloat16.
    model = openvino.Core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def answers(examples):
        outputs = model(examples)
        return {
            output.any_name: np.array(value)
            for output, value in outputs.items()
        }

    return answers


def _save(function, name, folder):
    """Save a function as the one signature of a SavedModel."""
    traced = function.get_concrete_function()
    module = tf.Module()
    module.weights = list(traced.variables)
    # OpenVINO reads the signature of the second name.
    signatures = {name: traced, "serving_default": traced}
    tf.saved_model.save(module, str(folder), signatures=signatures)


FORMATS = {
    "litert": DeviceFormat(
        "LiteRT",
        "litert",
        ("ai_edge_litert.interpreter",),
        ".tflite",
        _write_litert,
        _load_litert,
    ),
    "onnx": DeviceFormat(
        "ONNX",
        "onnx",
        ("onnx", "tf2onnx", "onnxruntime"),
        ".onnx",
        _write_onnx,
        _load_onnx,
    ),
    "openvino": DeviceFormat(
        "OpenVINO",
        "openvino",
        ("openvino",),
        ".xml",
        _write_openvino,
        _load_openvino,
    ),
}
