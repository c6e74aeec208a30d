"""Scores of an exported model by TensorFlow and by other runtimes."""

import pathlib
from collections.abc import Callable

import numpy as np

from benchmarking.contenders import Scorer, batches

Score = Callable[[np.ndarray], np.ndarray]


def saved_model(path, num_threads: int) -> Score:
    """Return the signature `score` of a SavedModel."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    loaded = tf.saved_model.load(str(path))
    # Through the loaded object, because it owns the weights.
    return lambda x: loaded.signatures["score"](examples=tf.constant(x))[
        "energy"
    ].numpy()


def litert(path, num_threads: int) -> Score:
    """Return a score by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    file = str(path / "score.tflite")
    interpreter = Interpreter(file, num_threads=num_threads)
    run = interpreter.get_signature_runner("score")
    return lambda x: run(examples=x)["energy"]


def onnx(path, num_threads: int) -> Score:
    """Return a score by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path / "score.onnx"), options, ["CPUExecutionProvider"]
    )
    return lambda x: session.run(["energy"], {"examples": x})[0]


def openvino(path, num_threads: int) -> Score:
    """Return a score by OpenVINO, in float32."""
    import openvino

    model = openvino.Core().compile_model(
        str(path / "score.xml"),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": num_threads,
        },
    )
    return lambda x: model(x)["energy"]


LOADERS = {
    "saved_model": saved_model,
    "litert": litert,
    "onnx": onnx,
    "openvino": openvino,
}


class Runtime(Scorer):
    """The score of an exported model, by one of `LOADERS`."""

    def __init__(self, name: str, path: pathlib.Path, num_threads: int):
        """Load the export."""
        self._score = LOADERS[name](path, num_threads)

    def score(self, examples):
        """Score examples."""
        return np.concatenate([self._score(x) for x in batches(examples)])
