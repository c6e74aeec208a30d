"""A stand-in for TensorFlow Serving, as a process of its own.

    python serving_stand_in.py EXPORT

It loads the newest version in the folder EXPORT into a session, as the server
does, and moves over when there is another. On free loopback ports, which it
prints, it answers predictions, metadata and status by gRPC and REST. It imports
TensorFlow and nothing of nae_tf, and has no batching and no other API.
"""

import base64
import concurrent.futures
import http.server
import json
import pathlib
import re
import sys
import threading
import time

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

MODEL = "nae"


class BadRequestError(Exception):
    """The request cannot be answered; the message says why."""


class NotFoundError(Exception):
    """There is no such model or version."""


class Model:
    def __init__(self, path):
        self.version = int(path.name)
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(
                self.session, ["serve"], str(path)
            )
        self.signatures = {
            name: signature
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith("__")
        }
        self.callables = {
            name: self._callable(signature)
            for name, signature in self.signatures.items()
        }
        self.warmed_up = self.warm_up(
            path / "assets.extra" / "tf_serving_warmup_requests"
        )

    def metadata(self):
        """A GetModelMetadataResponse."""
        signatures = get_model_metadata_pb2.SignatureDefMap(
            signature_def=self.signatures
        )
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = MODEL
        response.model_spec.version.value = self.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self):
        """A GetModelStatusResponse."""
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(
            version=self.version,
            state=get_model_status_pb2.ModelVersionStatus.AVAILABLE,
        )
        return response

    def _callable(self, signature):
        # Not `make_callable`: it checks shapes, which the server does not.
        call = config_pb2.CallableOptions()
        call.feed.extend(info.name for info in signature.inputs.values())
        call.fetch.extend(info.name for info in signature.outputs.values())
        return self.session._make_callable_from_options(call)

    def predict(self, signature_name, inputs):
        signature_name = signature_name or "serving_default"
        if signature_name not in self.signatures:
            raise BadRequestError(f"no signature {signature_name!r}")
        signature = self.signatures[signature_name]
        if set(inputs) != set(signature.inputs):
            raise BadRequestError(
                f"expected inputs {sorted(signature.inputs)}, received "
                f"{sorted(inputs)}"
            )
        fed = []
        for name, info in signature.inputs.items():
            dtype = tf.as_dtype(info.dtype).as_numpy_dtype
            try:
                fed.append(np.asarray(inputs[name], dtype))
            except (ValueError, TypeError, OverflowError) as error:
                raise BadRequestError(f"{name}: {error}") from error
        try:
            outputs = self.callables[signature_name](*fed)
        except tf.errors.OpError as error:
            raise BadRequestError(error.message) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def warm_up(self, path):
        """Answer the warm-up requests, as the server does; return how many."""
        requests = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        for record in requests:
            log = prediction_log_pb2.PredictionLog.FromString(record)
            predict_request(self, log.predict_log.request)
        return len(requests)


def predict_request(model, request):
    inputs = {
        name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()
    }
    return model.predict(request.model_spec.signature_name, inputs)


class Versions:
    """The newest version in a folder, looked for again and again."""

    def __init__(self, folder):
        self.folder = folder
        self.model = Model(self.newest())
        threading.Thread(target=self.watch, daemon=True).start()

    def newest(self):
        # The server takes folders whose names are numbers.
        found = [x for x in self.folder.iterdir() if x.name.isdecimal()]
        if not found:
            raise SystemExit(f"no versions in {self.folder}")
        return max(found, key=lambda path: int(path.name))

    def watch(self):
        while True:
            time.sleep(0.1)
            newest = self.newest()
            if int(newest.name) != self.model.version:
                # The old version answers until the new one is warm.
                self.model = Model(newest)

    def get(self, name, version=None):
        model = self.model
        if name != MODEL or version not in (None, model.version):
            raise NotFoundError(f"no model {name!r} of version {version}")
        return model

    def of(self, spec):
        return self.get(
            spec.name,
            spec.version.value if spec.HasField("version") else None,
        )


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, versions):
        self.versions = versions

    def _model(self, request, context):
        try:
            return self.versions.of(request.model_spec)
        except NotFoundError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    def GetModelMetadata(self, request, context):
        return self._model(request, context).metadata()

    def Predict(self, request, context):
        model = self._model(request, context)
        try:
            outputs = predict_request(model, request)
        except BadRequestError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = MODEL
        response.model_spec.version.value = model.version
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def decode_base64(value):
    """JSON values with {"b64": ...} replaced by bytes."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, list):
        return [decode_base64(item) for item in value]
    return value


def unnamed_if_single(outputs):
    """Outputs as JSON values; the server does not name a single one."""
    values = {name: value.tolist() for name, value in outputs.items()}
    return values if len(values) > 1 else next(iter(values.values()))


PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(.*)")


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    versions: Versions

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.handle_path(
            {":predict": lambda model: answer(model, json.loads(body))}
        )

    def do_GET(self):
        self.handle_path(
            {
                "": lambda model: as_json(model.status()),
                "/metadata": lambda model: as_json(model.metadata()),
            }
        )

    def handle_path(self, replies):
        try:
            found = PATH.fullmatch(self.path)
            if found is None or found[3] not in replies:
                raise BadRequestError(f"Malformed request: {self.path}")
            model = self.versions.get(found[1], found[2] and int(found[2]))
            self.reply(200, replies[found[3]](model))
        except NotFoundError as error:
            self.reply(404, {"error": str(error)})
        except (BadRequestError, ValueError) as error:
            self.reply(400, {"error": str(error)})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        del arguments


def as_json(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def named(model, signature, value):
    """Inputs by name; a single one may come without its name."""
    if isinstance(value, dict) and set(value) != {"b64"}:
        return value
    signature = signature or "serving_default"
    if signature not in model.signatures:
        raise BadRequestError(f"no signature {signature!r}")
    inputs = model.signatures[signature].inputs
    if len(inputs) != 1:
        raise BadRequestError("expected inputs by their names")
    return {next(iter(inputs)): value}


def answer(model, request):
    signature = request.get("signature_name", "")
    if "inputs" in request:
        inputs = named(model, signature, request["inputs"])
        inputs = {name: decode_base64(x) for name, x in inputs.items()}
        outputs = model.predict(signature, inputs)
        return {"outputs": unnamed_if_single(outputs)}
    rows = [named(model, signature, row) for row in request["instances"]]
    inputs = {
        name: [decode_base64(row[name]) for row in rows] for name in rows[0]
    }
    outputs = model.predict(signature, inputs)
    return {
        "predictions": [
            unnamed_if_single({k: v[i] for k, v in outputs.items()})
            for i in range(len(rows))
        ]
    }


class RestServer(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def main():
    versions = Versions(pathlib.Path(sys.argv[1]))
    grpc_server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(versions), grpc_server
    )
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    RestHandler.versions = versions
    rest = RestServer(("127.0.0.1", 0), RestHandler)
    foreign = [name for name in sys.modules if name.startswith("nae_tf")]
    ready = {
        "grpc_port": grpc_port,
        "rest_port": rest.server_port,
        "warmed_up": versions.model.warmed_up,
        "foreign_modules": foreign,
    }
    print(json.dumps(ready), flush=True)
    rest.serve_forever()


if __name__ == "__main__":
    main()
