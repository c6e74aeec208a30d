"""An export behind KServe's Python server, asked over HTTP and gRPC."""

import asyncio
import base64
import concurrent.futures
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.serving.saved_model import ExportedModel

pytest.importorskip("kserve", reason="needs the extra kserve")


@pytest.fixture(scope="module")
def server(exported_images, tmp_path_factory):
    from kserve_server import serve

    log = tmp_path_factory.mktemp("kserve") / "log"
    with serve(exported_images.path, log) as server:
        yield server


@pytest.fixture(scope="module")
def ask(server):
    """Post JSON to a path; answers are decoded."""

    def ask(path, body, content_type="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        posted = urllib.request.Request(
            f"{server[0]}{path}", data, {"Content-Type": content_type}
        )
        with urllib.request.urlopen(posted, timeout=60) as reply:
            return json.load(reply)

    return ask


@pytest.fixture(scope="module")
def scores(exported_images):
    """Scores of all images by `ExportedModel`."""
    return ExportedModel(exported_images.path).score(exported_images.images)


V1 = "/v1/models/nae:predict"
V2 = "/v2/models/nae/infer"


def png(image):
    return tf.io.encode_png(np.round(image * 255).astype(np.uint8)).numpy()


def tensor(name, value, datatype="FP32"):
    value = np.asarray(value)
    return {
        "name": name,
        "shape": list(value.shape),
        "datatype": datatype,
        "data": value.ravel().tolist(),
    }


def arrays(reply):
    return {
        output["name"]: np.reshape(output["data"], output["shape"])
        for output in reply["outputs"]
    }


def assert_equal(received, scores, rows=slice(None)):
    assert set(received) == set(scores)
    for name, values in scores.items():
        np.testing.assert_allclose(
            np.array(received[name], float),
            values[rows],
            rtol=1e-5,
            atol=1e-6,
            err_msg=name,
        )


def test_v1_answers_rows_and_columns(ask, exported_images, scores):
    images = exported_images.images[:5].tolist()
    rows = ask(V1, {"instances": [{"examples": x} for x in images]})
    received = {
        name: [row[name] for row in rows["predictions"]] for name in scores
    }
    assert_equal(received, scores, slice(5))
    # curl sends this type, and TensorFlow Serving does not look at it.
    columns = ask(
        V1,
        {"inputs": {"examples": images}},
        "application/x-www-form-urlencoded",
    )
    assert_equal(columns["outputs"], scores, slice(5))


def test_v2_answers_columns(ask, exported_images, scores):
    reply = ask(
        V2,
        {"id": "7", "inputs": [tensor("examples", exported_images.images[:5])]},
    )
    assert (reply["model_name"], reply["id"]) == ("nae", "7")
    assert_equal(arrays(reply), scores, slice(5))


def test_both_protocols_choose_a_signature(ask, exported_images):
    images, rates = exported_images.images[:2], [0.9, 0.02]
    loaded = ExportedModel(exported_images.path)
    expected = [
        loaded.score(image[None], rate)["is_outlier"][0]
        for image, rate in zip(images, rates, strict=True)
    ]
    by_v1 = ask(
        V1,
        {
            "signature_name": "score_at",
            "inputs": {"examples": images.tolist(), "false_alarm_rate": rates},
        },
    )
    by_v2 = ask(
        V2,
        {
            "parameters": {"signature_name": "score_at"},
            "inputs": [
                tensor("examples", images),
                tensor("false_alarm_rate", rates),
            ],
        },
    )
    assert by_v1["outputs"]["is_outlier"] == expected
    assert arrays(by_v2)["is_outlier"].tolist() == expected
    samples = ask(
        V2,
        {
            "parameters": {"signature_name": "sample"},
            "inputs": [
                tensor("count", 3, "INT32"),
                tensor("seed", 5, "INT32"),
            ],
        },
    )
    np.testing.assert_allclose(
        arrays(samples)["samples"],
        exported_images.model.sample(3, seed=5).x,
        atol=1e-5,
    )


def test_files_are_base64_in_both_protocols(ask, exported_images, scores):
    files = [png(image) for image in exported_images.images[:3]]
    files[1] = files[1][:40]
    texts = [base64.b64encode(file).decode() for file in files]
    rows = ask(
        V1,
        {
            "signature_name": "score_encoded_image",
            "instances": [{"image_bytes": {"b64": text}} for text in texts],
        },
    )["predictions"]
    columns = arrays(
        ask(
            V2,
            {
                "parameters": {"signature_name": "score_encoded_image"},
                "inputs": [tensor("image_bytes", texts, "BYTES")],
            },
        )
    )
    assert [row["status"] for row in rows] == [0, 3, 0]
    # JSON has no NaN.
    assert rows[1]["energy"] is None and columns["energy"][1] is None
    for energies in ([row["energy"] for row in rows], columns["energy"]):
        np.testing.assert_allclose(
            np.array(energies, float)[::2], scores["energy"][:3:2], rtol=1e-5
        )


def test_grpc_answers_raw_bytes_and_files(server, exported_images, scores):
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def ask(signature, name, value, datatype):
        given = InferInput(name, list(value.shape), datatype)
        given.set_data_from_numpy(value, binary_data=True)
        client = InferenceGRPCClient(server[1])
        request = InferRequest(
            "nae", [given], parameters={"signature_name": signature}
        )
        reply = await client.infer(request, timeout=60)
        await client.close()
        return {output.name: output.as_numpy() for output in reply.outputs}

    images = exported_images.images[:3]
    received = asyncio.run(ask("score", "examples", images, "FP32"))
    assert_equal(received, scores, slice(3))
    files = np.array([png(image) for image in images], object)
    received = asyncio.run(
        ask("score_encoded_image", "image_bytes", files, "BYTES")
    )
    assert_equal(received, scores, slice(3))


def test_the_metadata_name_inputs_and_outputs(server, scores):
    with urllib.request.urlopen(f"{server[0]}/v2/models/nae") as reply:
        metadata = json.load(reply)
    assert metadata["inputs"] == [
        {"name": "examples", "datatype": "FP32", "shape": [-1, 12, 12, 1]}
    ]
    types = {
        x["name"]: (x["datatype"], x["shape"]) for x in metadata["outputs"]
    }
    assert set(types) == set(scores)
    assert types["is_outlier"] == ("BOOL", [-1])
    assert types["status"] == ("INT32", [-1])


def bad_requests(images):
    """Bodies by path, with a part of the reason."""
    good = tensor("examples", images[:1])
    yield V1, b"{", "request format"
    yield V1, 5, "a JSON object"
    yield V1, {"instances": images[:1, :5].tolist()}, "[batch, 12, 12, 1]"
    yield V1, {"inputs": {"examples": "text"}}, "other values"
    yield V1, {"instances": [], "signature_name": "x"}, "no signature 'x'"
    yield V2, {"inputs": [good | {"shape": [1, 5, 12, 1]}]}, "cannot be read"
    yield V2, {"inputs": [good | {"datatype": "FP31"}]}, "datatype"
    yield V2, {"inputs": [good | {"name": "x"}]}, "expected the inputs"
    yield V2, {"inputs": [good | {"datatype": "BYTES"}]}, "base64"
    yield V2, {"inputs": [tensor("examples", images[0])]}, "[batch, 12, 12, 1]"
    yield V2, {"inputs": [good, good]}, "every input once"
    yield V2, {"inputs": "text"}, "inputs: Input should be a valid list"
    yield V2, b"{", "JSON decode error"
    yield V2, {"parameters": {"signature_name": 5}, "inputs": [good]}, "quotes"


def test_bad_requests_get_a_line_each_while_others_are_answered(
    ask, exported_images, scores
):
    images = exported_images.images
    bad = list(bad_requests(images))

    def client(number):
        for repeat in range(6):
            path, body, reason = bad[(number + repeat) % len(bad)]
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(path, body)
            message = json.load(caught.value)["error"]
            assert caught.value.code == 400, (body, message)
            assert reason in message and "\n" not in message
            start = 2 * number + repeat
            rows = slice(start, start + 1 + repeat)
            chosen = images[rows]
            if number % 2:
                reply = ask(V1, {"inputs": {"examples": chosen.tolist()}})
                assert_equal(reply["outputs"], scores, rows)
            else:
                reply = ask(V2, {"inputs": [tensor("examples", chosen)]})
                assert_equal(arrays(reply), scores, rows)
        return True

    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        assert all(threads.map(client, range(32)))


def test_a_port_that_is_taken_is_one_line(server, exported_images):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nae_tf.serving.serve_command"),
            f"--model={exported_images.path}",
            f"--http_port={server[0].rpartition(':')[2]}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: port") and "--http_port" in line


def test_a_signal_ends_the_server(exported_images, tmp_path):
    from kserve_server import serve

    with serve(exported_images.path, tmp_path / "log") as (_, _, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
