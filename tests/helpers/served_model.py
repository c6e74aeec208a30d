"""A small model behind serving_stand_in.py, and a client that asks it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import grpc
import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as service
from tiny_models import image_networks, short_sampler

from nae_tf import NAE
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model

STAND_IN = pathlib.Path(__file__).with_name("serving_stand_in.py")


class Client:
    """Asks a stand-in server by gRPC and REST."""

    Refusal = grpc.RpcError

    def __init__(self, ready, pid):
        self.pid = pid
        self.ready = ready
        self.url = f"http://127.0.0.1:{ready['rest_port']}/v1/models/nae"
        channel = grpc.insecure_channel(f"127.0.0.1:{ready['grpc_port']}")
        self.stub = service.PredictionServiceStub(channel)

    def grpc(self, signature="", **inputs):
        response = self.predict(signature, **inputs)
        return {
            name: tf.make_ndarray(tensor)
            for name, tensor in response.outputs.items()
        }

    def predict(self, signature="", **inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "nae"
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return self.stub.Predict(request, timeout=60)

    def reason(self, refusal):
        """What the model says of a bad request."""
        assert refusal.code() == grpc.StatusCode.INVALID_ARGUMENT
        # TensorFlow appends the operation in question.
        return refusal.details().partition("\n\t [[")[0]

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.load(reply)

    def rest(self, path=":predict", **request):
        posted = urllib.request.Request(
            self.url + path, json.dumps(request).encode(), method="POST"
        )
        with urllib.request.urlopen(posted, timeout=60) as reply:
            return json.load(reply)

    def resident_megabytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@dataclasses.dataclass
class Exported:
    """A model, data that calibrated it, and the path of its export."""

    model: NAE
    images: np.ndarray
    calibration: Calibration
    path: pathlib.Path


@dataclasses.dataclass
class Served(Exported):
    """An exported model, and the client of its server."""

    client: Client


def export(folder):
    """Export a model that has every signature into a folder."""
    keras.utils.set_random_seed(0)
    model = NAE(*image_networks(), sampler=short_sampler(bounds=(0.0, 1.0)))
    # Grey levels of bytes, so that a PNG file holds them exactly.
    levels = np.random.default_rng(0).integers(0, 256, (100, 12, 12, 1))
    images = (levels / np.float32(255)).astype(np.float32)
    calibration = Calibration(model.predict_outlier_score(images[:50]), 0.2)
    path = export_model(model, calibration, folder / "export")
    return Exported(model, images, calibration, path)


@contextlib.contextmanager
def serve(exported):
    """Serve an export by the stand-in."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH"
    }
    process = subprocess.Popen(
        [sys.executable, str(STAND_IN), str(exported.path.parent)],
        cwd=exported.path.parent,
        env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        client = Client(json.loads(process.stdout.readline()), process.pid)
        yield Served(**vars(exported), client=client)
    finally:
        process.terminate()
        process.wait(timeout=30)
