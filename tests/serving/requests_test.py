"""Requests of TensorFlow Serving's REST API, checked before they run."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.serving.rest_requests import answer_rest
from nae_tf.serving.signature_calls import BadRequestError, SignatureCalls


@pytest.fixture(scope="module")
def calls(exported_vectors):
    return SignatureCalls(exported_vectors)


@pytest.fixture(scope="module")
def image_calls(exported_images):
    return SignatureCalls(exported_images.path)


X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32).tolist()
GOOD = {"inputs": {"examples": X}}


@pytest.fixture(scope="module")
def scores(exported_vectors):
    """Scores of X by the SavedModel itself."""
    loaded = tf.saved_model.load(str(exported_vectors))
    outputs = loaded.signatures["score"](examples=tf.constant(X))
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"examples": x} for x in X]},
        {"instances": X},  # A single input needs no name.
        {"signature_name": "score", "instances": X},
        json.dumps({"instances": X}),
        json.dumps({"instances": X}).encode(),
    ],
)
def test_rows_are_answered_by_rows(calls, scores, body):
    rows = answer_rest(calls, body)["predictions"]
    assert [set(row) for row in rows] == [set(scores)] * 3
    for name, values in scores.items():
        np.testing.assert_allclose(
            [row[name] for row in rows], values, rtol=1e-6
        )


@pytest.mark.parametrize("body", [GOOD, {"inputs": X}])
def test_columns_are_answered_by_columns(calls, scores, body):
    columns = answer_rest(calls, body)["outputs"]
    assert set(columns) == set(scores)
    for name, values in scores.items():
        np.testing.assert_allclose(columns[name], values, rtol=1e-6)


def test_a_single_output_comes_without_its_name(calls):
    answer = answer_rest(calls, {"signature_name": "encode", "inputs": X})
    assert np.shape(answer["outputs"]) == (3, 3)


def test_bytes_are_base64(image_calls, exported_images):
    image = exported_images.images[0]
    png = tf.io.encode_png(np.round(image * 255).astype(np.uint8)).numpy()
    row = {"b64": base64.b64encode(png).decode()}
    expected = exported_images.model.predict_outlier_score(image[None])
    for instances in ([{"image_bytes": row}], [row]):
        (answer,) = answer_rest(
            image_calls,
            {"signature_name": "score_encoded_image", "instances": instances},
        )["predictions"]
        np.testing.assert_allclose(answer["energy"], expected, atol=1e-6)


SAMPLE = {"signature_name": "sample", "inputs": {"count": 3, "seed": 1}}
ENCODED = {"signature_name": "score_encoded_image"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "no JSON"),
        (b"\xff", "no JSON"),
        ([X], "a JSON object"),
        (5, "a JSON object"),
        ({}, "either 'instances' or 'inputs'"),
        (GOOD | {"instances": X}, "either 'instances' or 'inputs'"),
        (GOOD | {"signature_name": 5}, "signature_name"),
        (GOOD | {"signature_name": "scores"}, "no signature 'scores'"),
        ({"instances": []}, "list of rows"),
        ({"instances": {"examples": X}}, "list of rows"),
        ({"instances": [{"examples": X[0]}, {"x": X[0]}]}, "the same names"),
        ({"instances": [{"x": X[0]}]}, "expected the inputs ['examples']"),
        ({"inputs": {"examples": X, "x": X}}, "expected the inputs"),
        ({"inputs": {"examples": [x[:3] for x in X]}}, "received [3, 3]"),
        ({"inputs": {"examples": X[0]}}, "received [4]"),
        ({"inputs": {"examples": [X[0], X[1][:2]]}}, "[batch, 4]"),
        ({"inputs": {"examples": [["0.5"] * 4]}}, "other values"),
        ({"inputs": {"examples": [[True] * 4]}}, "other values"),
        ({"inputs": {"examples": None}}, "other values"),
        ({"inputs": {"examples": [[{"b64": "AA=="}] * 4]}}, "other values"),
        (
            {
                "signature_name": "score_at",
                "inputs": {"examples": X, "false_alarm_rate": [0.1]},
            },
            "as many rows",
        ),
        ({"signature_name": "score_at", "instances": X}, "by their names"),
    ],
)
def test_a_bad_request_is_refused_in_one_line(calls, body, reason):
    with pytest.raises(BadRequestError) as caught:
        answer_rest(calls, body)
    message = str(caught.value)
    assert reason in message and "\n" not in message
    assert len(answer_rest(calls, GOOD)["outputs"]["energy"]) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (SAMPLE | {"inputs": {"count": 2.5, "seed": 1}}, "other values"),
        (SAMPLE | {"inputs": {"count": 2**40, "seed": 1}}, "a larger number"),
        (SAMPLE | {"inputs": {"count": [3], "seed": 1}}, "received [1]"),
        (SAMPLE | {"inputs": {"count": 300, "seed": 1}}, "1 ... 256"),
        (ENCODED | {"instances": [{"b64": "?"}]}, "base64"),
        (ENCODED | {"instances": [{"b64": 5}]}, "base64"),
        (ENCODED | {"instances": [{"image_bytes": {"b65": ""}}]}, "base64"),
        (ENCODED | {"instances": ["text"]}, "no bytes"),
    ],
)
def test_so_is_one_to_another_signature(image_calls, body, reason):
    with pytest.raises(BadRequestError) as caught:
        answer_rest(image_calls, body)
    message = str(caught.value)
    assert reason in message and "\n" not in message
