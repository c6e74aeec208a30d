"""Clients of an export as the guide has them, run with stand-ins of servers."""

import collections
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from guides import snippet

from nae_tf.serving.saved_model import ExportedModel


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f4", "<f8"])
def test_grpc_sends_images_of_any_order_of_bytes(dtype, monkeypatch):
    pytest.importorskip("grpc")
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    grpc = pytest.importorskip(
        "tensorflow_serving.apis.prediction_service_pb2_grpc"
    )
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype(dtype)
    requests = []

    class Stub:
        def __init__(self, channel):
            del channel

        def Predict(self, request, timeout):
            del timeout
            requests.append(request)
            response = predict.PredictResponse()
            energy = tf.make_tensor_proto([0.25, 0.5])
            response.outputs["energy"].CopyFrom(energy)
            return response

    monkeypatch.setattr(grpc, "PredictionServiceStub", Stub)
    code = snippet("serving.md", "insecure_channel")
    given = code.replace("np.zeros([1, 8, 8, 1])", "given")
    assert given != code
    names = {"given": images}
    exec(given, names)
    [request] = requests
    sent = tf.make_ndarray(request.inputs["examples"])
    np.testing.assert_array_equal(sent, images.astype(np.float32))
    np.testing.assert_array_equal(names["energies"], [0.25, 0.5])


def test_beam_gets_the_outputs_of_the_export(exported_vectors, monkeypatch):
    class ModelHandler:
        def __init__(self, max_batch_size):
            self.max_batch_size = max_batch_size

    base = types.ModuleType("apache_beam.ml.inference.base")
    base.ModelHandler = ModelHandler
    base.PredictionResult = collections.namedtuple(
        "PredictionResult", ["example", "inference"]
    )
    for name in ("apache_beam", "apache_beam.ml", "apache_beam.ml.inference"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, base.__name__, base)
    names = {}
    exec(snippet("serving.md", "class ExportHandler"), names)
    handler = names["ExportHandler"](str(exported_vectors))
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    bad = np.full((1, 4), np.nan, np.float32)
    rows = list(
        handler.run_inference(np.concatenate([x, bad]), handler.load_model())
    )
    np.testing.assert_array_equal([row.example for row in rows[:6]], x)
    for name, values in ExportedModel(exported_vectors).score(x).items():
        found = [row.inference[name] for row in rows[:6]]
        np.testing.assert_allclose(found, values, rtol=1e-6, err_msg=name)
    assert np.isnan(rows[6].inference["energy"])
    assert rows[6].inference["status"] == 1
