"""The warm-up file of TensorFlow Serving.

A server answers these requests before it offers a model, so that no user waits
for the first run of a graph. The file is a TFRecord of `PredictionLog` messages
(tensorflow_serving/apis/prediction_log.proto). They are written field by field,
so that an export needs no package of their Python classes.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf


def write_warmup_requests(path: pathlib.Path, requests: Mapping[str, Mapping]):
    """Write one request for every signature.

    Args:
        path: path of the new file.
        requests: inputs by signature name; inputs are arrays by name.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(signature, inputs))


def prediction_log(signature: str, inputs: Mapping) -> bytes:
    """Return a serialised `PredictionLog` that holds a `PredictRequest`."""
    # ModelSpec: the server knows its model's name, the signature is needed.
    model_spec = _field(3, signature.encode())
    request = _field(1, model_spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        # An entry of a map is a message of key and value.
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    predict_log = _field(1, request)
    return _field(6, predict_log)


def _field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field of the Protocol Buffers wire format."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= 128:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
