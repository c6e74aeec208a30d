"""A served model: exported, loaded without the package, asked by clients."""

import base64
import concurrent.futures
import json
import shutil
import time
import urllib.error

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2


@pytest.fixture(scope="module")
def client(served):
    return served.client


@pytest.fixture(scope="module")
def model(served):
    return served.model


@pytest.fixture(scope="module")
def images(served):
    return served.images


@pytest.fixture(scope="module")
def calibration(served):
    return served.calibration


def png(image):
    levels = np.round(image * 255).astype(np.uint8)
    return tf.io.encode_png(levels).numpy()


def encoded(data):
    return {"b64": base64.b64encode(data).decode()}


def test_the_server_needs_nothing_of_the_package(client):
    assert client.ready["foreign_modules"] == []


def test_the_warm_up_file_asks_every_signature(client):
    # serving_default, score, score_at, reconstruct, encode, sample,
    # score_encoded_image
    assert client.ready["warmed_up"] == 7


def test_the_metadata_describe_every_signature(client):
    metadata = client.get("/metadata")
    assert metadata["model_spec"]["name"] == "nae"
    described = metadata["metadata"]["signature_def"]["signature_def"]

    def tensors(signature, side):
        return {
            name: (
                info["dtype"],
                [int(x["size"]) for x in info["tensor_shape"].get("dim", [])],
            )
            for name, info in described[signature][side].items()
        }

    batch = ("DT_FLOAT", [-1])
    assert tensors("score_at", "inputs") == {
        "examples": ("DT_FLOAT", [-1, 12, 12, 1]),
        "false_alarm_rate": batch,
    }
    scores = {
        "energy": batch,
        "p_value": batch,
        "conditional_p_value": batch,
        "is_outlier": ("DT_BOOL", [-1]),
        "status": ("DT_INT32", [-1]),
    }
    for name in ("score", "score_at", "score_encoded_image", "serving_default"):
        assert tensors(name, "outputs") == scores
    assert tensors("score_encoded_image", "inputs") == {
        "image_bytes": ("DT_STRING", [-1])
    }
    assert tensors("sample", "inputs") == {
        "count": ("DT_INT32", []),
        "seed": ("DT_INT32", []),
    }


def test_grpc_tells_the_same_metadata(client):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "nae"
    request.metadata_field.append("signature_def")
    response = client.stub.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert (
        json_format.MessageToDict(signatures, preserving_proto_field_name=True)[
            "signature_def"
        ]
        == (
            client.get("/metadata")["metadata"]["signature_def"][
                "signature_def"
            ]
        )
    )


@pytest.mark.parametrize("unnamed", [False, True])
def test_columns_are_answered_by_columns(client, images, unnamed):
    examples = images[:3].tolist()
    inputs = examples if unnamed else {"examples": examples}
    columns = client.rest(inputs=inputs)["outputs"]
    rows = client.rest(
        instances=examples
        if unnamed
        else [{"examples": example} for example in examples]
    )["predictions"]
    assert set(columns) == set(rows[0])
    for name, values in columns.items():
        np.testing.assert_allclose(
            [row[name] for row in rows], values, rtol=1e-6
        )
    codes = client.rest(signature_name="encode", inputs=inputs)["outputs"]
    assert np.shape(codes) == (3, 3)


def test_a_new_version_takes_over_without_a_gap(client, served):
    def version():
        (status,) = client.get("")["model_version_status"]
        assert status["state"] == "AVAILABLE"
        return int(status["version"])

    def wait_for(number):
        deadline = time.monotonic() + 120
        while version() != number:
            # Somebody asks all the time, and is always answered.
            answer = client.predict(examples=served.images[:1])
            assert answer.model_spec.version.value in (1, 2)
            assert time.monotonic() < deadline

    folder = served.path.parent
    # As export_model writes: under a name that a server leaves alone, first.
    shutil.copytree(served.path, folder / ".2.tmp")
    assert version() == 1
    try:
        (folder / ".2.tmp").rename(folder / "2")
        wait_for(2)
        path = "/versions/2:predict"
        inputs = {"examples": served.images[:2].tolist()}
        assert len(client.rest(path, inputs=inputs)["outputs"]["energy"]) == 2
        with pytest.raises(urllib.error.HTTPError) as caught:
            client.rest("/versions/1:predict", inputs=inputs)
        assert caught.value.code == 404
    finally:
        shutil.rmtree(folder / "2")
    wait_for(1)


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


def test_a_request_chooses_the_rate_of_false_alarms(client, images):
    p_values = client.grpc(examples=images[:5])["p_value"]
    rates = np.array([0.9, 0.5, 0.1, 0.02, 0.0], np.float32)
    answers = client.grpc(
        "score_at", examples=images[:5], false_alarm_rate=rates
    )
    assert answers["status"].tolist() == [0] * 4 + [4]
    np.testing.assert_array_equal(
        answers["is_outlier"], [*(p_values <= rates)[:4], True]
    )
    rows = client.rest(
        signature_name="score_at",
        instances=[
            {"examples": image.tolist(), "false_alarm_rate": float(rate)}
            for image, rate in zip(images, rates[:4], strict=False)
        ],
    )["predictions"]
    assert [row["is_outlier"] for row in rows] == answers["is_outlier"][
        :4
    ].tolist()


def test_bad_examples_do_not_spoil_requests_joined_with_theirs(client, images):
    # The server's batching lays the rows of several clients below each other.
    joined = images[:5].copy()
    joined[1, 3, 4] = np.nan
    joined[2, 0, 0] = 1.5
    joined[4] = -np.inf
    alone = client.grpc(examples=images[:5])
    answers = client.grpc(examples=joined)
    good = [0, 3]
    assert answers["status"].tolist() == [0, 1, 2, 0, 1]
    assert answers["is_outlier"][[1, 2, 4]].all()
    for name in ("energy", "p_value", "conditional_p_value"):
        np.testing.assert_allclose(
            answers[name][good], alone[name][good], rtol=1e-5
        )
        assert np.isnan(answers[name][[1, 2, 4]]).all()
    assert alone["status"].tolist() == [0] * 5
    np.testing.assert_array_equal(
        answers["is_outlier"][good], alone["is_outlier"][good]
    )


@pytest.mark.parametrize("signature", ["encode", "reconstruct"])
def test_what_comes_of_a_bad_example_is_no_number(client, images, signature):
    joined = np.concatenate([images[:1], images[:1] + 2, images[:1]])
    for values in client.grpc(signature, examples=joined).values():
        assert np.isnan(values[1]).all()
        assert np.isfinite(values[::2]).all()
        np.testing.assert_allclose(values[0], values[2], rtol=1e-5)


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


def test_a_damaged_image_does_not_spoil_requests_joined_with_its(
    client, model, images
):
    files = [png(image) for image in images[:3]]
    files[1] = files[1][:40]
    rows = client.rest(
        signature_name="score_encoded_image",
        instances=[{"image_bytes": encoded(file)} for file in files],
    )["predictions"]
    assert [row["status"] for row in rows] == [0, 3, 0]
    assert rows[1]["is_outlier"] and np.isnan(float(rows[1]["energy"]))
    np.testing.assert_allclose(
        [row["energy"] for row in rows[::2]],
        model.predict_outlier_score(images[:3:2]),
        atol=1e-5,
    )


def test_samples_are_those_of_the_model(client, model):
    served = client.rest(
        signature_name="sample", inputs={"count": 3, "seed": 5}
    )
    np.testing.assert_allclose(
        served["outputs"], model.sample(3, seed=5).x, atol=1e-5
    )


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
