"""A served model: exported, loaded without the package, asked by clients."""

import base64
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import image_networks, short_sampler

from nae_tf import NAE
from nae_tf.calibration import Calibration
from nae_tf.export import export_model

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tensorflow_serving.apis import predict_pb2  # noqa: E402
from tensorflow_serving.apis import (  # noqa: E402
    prediction_service_pb2_grpc as service,
)

STAND_IN = pathlib.Path(__file__).with_name("serving_stand_in.py")


class Client:
    """Asks a stand-in server by gRPC and REST."""

    def __init__(self, ready, pid):
        self.pid = pid
        self.ready = ready
        self.url = (
            f"http://127.0.0.1:{ready['rest_port']}/v1/models/nae:predict"
        )
        channel = grpc.insecure_channel(f"127.0.0.1:{ready['grpc_port']}")
        self.stub = service.PredictionServiceStub(channel)

    def grpc(self, signature="", **inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "nae"
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self.stub.Predict(request, timeout=60)
        return {
            name: tf.make_ndarray(tensor)
            for name, tensor in response.outputs.items()
        }

    def rest(self, **request):
        posted = urllib.request.Request(
            self.url, json.dumps(request).encode(), method="POST"
        )
        with urllib.request.urlopen(posted, timeout=60) as reply:
            return json.load(reply)

    def resident_megabytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return NAE(*image_networks(), sampler=short_sampler(bounds=(0.0, 1.0)))


@pytest.fixture(scope="module")
def images():
    # Grey levels of bytes, so that a PNG file holds them exactly.
    levels = np.random.default_rng(0).integers(0, 256, (100, 12, 12, 1))
    return (levels / np.float32(255)).astype(np.float32)


@pytest.fixture(scope="module")
def calibration(model, images):
    return Calibration(model.predict_outlier_score(images[:50]), 0.2)


@pytest.fixture(scope="module")
def client(model, calibration, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    path = export_model(model, calibration, folder / "export")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH"
    }
    process = subprocess.Popen(
        [sys.executable, str(STAND_IN), str(path)],
        cwd=folder,
        env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Client(json.loads(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def png(image):
    levels = np.round(image * 255).astype(np.uint8)
    return tf.io.encode_png(levels).numpy()


def encoded(data):
    return {"b64": base64.b64encode(data).decode()}


def test_the_server_needs_nothing_of_the_package(client):
    assert client.ready["foreign_modules"] == []


def test_the_warm_up_file_asks_every_signature(client):
    # serving_default, score, reconstruct, encode, sample, score_encoded_image
    assert client.ready["warmed_up"] == 6


def test_grpc_and_rest_return_the_scores_of_the_model(
    client, model, calibration, images
):
    expected = model.predict_outlier_score(images[:7])
    by_grpc = client.grpc(examples=images[:7])
    np.testing.assert_allclose(by_grpc["energy"], expected, atol=1e-5)
    np.testing.assert_allclose(
        by_grpc["p_value"], calibration.p_values(by_grpc["energy"]), rtol=1e-6
    )
    rows = client.rest(
        instances=[{"examples": image.tolist()} for image in images[:7]]
    )["predictions"]
    np.testing.assert_allclose(
        [row["energy"] for row in rows], expected, atol=1e-5
    )
    assert [row["is_outlier"] for row in rows] == [
        bool(flag) for flag in calibration.is_outlier(by_grpc["energy"])
    ]


def test_an_encoded_image_scores_as_its_pixels(client, model, images):
    rows = client.rest(
        signature_name="score_encoded_image",
        instances=[{"image_bytes": encoded(png(x))} for x in images[:3]],
    )["predictions"]
    np.testing.assert_allclose(
        [row["energy"] for row in rows],
        model.predict_outlier_score(images[:3]),
        atol=1e-5,
    )


def test_samples_are_those_of_the_model(client, model):
    served = client.rest(
        signature_name="sample", inputs={"count": 3, "seed": 5}
    )
    np.testing.assert_allclose(
        served["outputs"], model.sample(3, seed=5).x, atol=1e-5
    )


def bad_requests(images):
    jpeg = tf.io.encode_jpeg(np.zeros((20, 20, 1), np.uint8)).numpy()
    bomb = tf.io.encode_png(np.zeros((5000, 4000, 1), np.uint8)).numpy()
    colour = tf.io.encode_png(np.zeros((9, 9, 3), np.uint8)).numpy()
    files = {
        "Invalid JPEG data": jpeg[: len(jpeg) // 2],
        "no PNG or JPEG image": b"GIF89a" + bytes(40),
        "1 ... 16777216 pixels": bomb,
        "1 channels, received": colour,
    }
    for reason, data in files.items():
        yield reason, "score_encoded_image", {"image_bytes": np.array([data])}
    yield "expected examples of shape", "score", {"examples": images[:2, :5]}
    yield "expected examples of shape", "encode", {"examples": images[0]}
    yield "NaN", "score", {"examples": images[:2] * np.float32(np.nan)}
    yield "values in [0, 1]", "reconstruct", {"examples": images[:2] + 1}
    for count in (0, -1, 2**31 - 1):
        inputs = {"count": np.int32(count), "seed": np.int32(0)}
        yield "expected a count in 1 ... 256", "sample", inputs


def test_a_bad_request_gets_its_reason_and_the_next_one_is_answered(
    client, images
):
    for reason, signature, inputs in bad_requests(images):
        with pytest.raises(grpc.RpcError) as caught:
            client.grpc(signature, **inputs)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert reason in caught.value.details()
        assert client.grpc(examples=images[:1])["energy"].shape == (1,)


def test_rest_replies_with_the_reason_too(client, images):
    for examples in (images[:1, :5].tolist(), [[["text"]]]):
        with pytest.raises(urllib.error.HTTPError) as caught:
            client.rest(inputs={"examples": examples})
        assert caught.value.code == 400
        assert "error" in json.load(caught.value)
    reply = client.rest(inputs={"examples": images[:1].tolist()})
    assert len(reply["outputs"]["energy"]) == 1


@pytest.mark.parametrize(
    "seconds", [5, pytest.param(60, marks=pytest.mark.slow)]
)
def test_32_clients_at_once_get_right_answers_in_constant_memory(
    client, model, images, seconds
):
    expected = model.predict_outlier_score(images)

    def energies(number, start, size):
        chosen = images[start : start + size]
        if number % 3 == 0:
            return client.grpc(examples=chosen)["energy"]
        if number % 3 == 1:
            request = {"inputs": {"examples": chosen.tolist()}}
        else:
            files = [encoded(png(image)) for image in chosen]
            request = {
                "signature_name": "score_encoded_image",
                "inputs": {"image_bytes": files},
            }
        return client.rest(**request)["outputs"]["energy"]

    def ask(number, deadline):
        random = np.random.default_rng(number)
        num_requests = 0
        while time.monotonic() < deadline:
            start, size = random.integers(90), random.integers(1, 9)
            np.testing.assert_allclose(
                energies(number, start, size),
                expected[start : start + size],
                atol=1e-5,
            )
            num_requests += 1
        return num_requests

    def run(duration):
        deadline = time.monotonic() + duration
        with concurrent.futures.ThreadPoolExecutor(32) as threads:
            return list(threads.map(lambda n: ask(n, deadline), range(32)))

    # Thread pools and allocators reach their size first.
    run(max(seconds / 4, 3))
    before = client.resident_megabytes()
    counts = run(seconds)
    growth = client.resident_megabytes() - before
    assert min(counts) > 0
    assert growth < 30, f"{growth:.0f} MiB more after {sum(counts)} requests"
    print(f"{sum(counts)} requests, {growth:+.1f} MiB")
