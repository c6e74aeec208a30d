"""The client of an export in the guide, with a stand-in of the server."""

import numpy as np
import pytest
import tensorflow as tf
from guides import snippet


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
